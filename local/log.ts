import { createWriteStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { finished } from 'node:stream/promises';

/** Takes what a part of the local stack has to say; `source` is that part. Text of several lines becomes as many entries. */
export type Log = (source: string, text: string) => void;

export interface LogFile {
  readonly log: Log;
  close(): Promise<void>;
}

/** Opens a log file, emptied, in a folder that is there. With `echo`, every entry is also given there. */
export async function openLog(
  file: string,
  { echo }: { echo?: ((line: string) => void) | undefined } = {},
): Promise<LogFile> {
  await writeFile(file, '');
  const stream = createWriteStream(file, { flags: 'a' });
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
