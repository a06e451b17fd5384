import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { finished } from 'node:stream/promises';

/** Takes what a part of the local stack has to say; `source` is that part. Text of several lines becomes as many entries. */
export type Log = (source: string, text: string) => void;

export interface LogFile {
  readonly log: Log;
  close(): Promise<void>;
}

/** A new log file; with `echo`, every entry is also given there. */
export async function openLog(file: string, echo?: (line: string) => void): Promise<LogFile> {
  await mkdir(dirname(file), { recursive: true });
  const stream = createWriteStream(file);
  return {
    log(source, text) {
      const time = new Date().toISOString();
      for (const line of text.split('\n').filter((part) => part.trim() !== '')) {
        if (!stream.writableEnded) stream.write(`${time} [${source}] ${line}\n`);
        echo?.(`[${source}] ${line}`);
      }
    },
    async close() {
      stream.end();
      await finished(stream).catch(() => {});
    },
  };
}
