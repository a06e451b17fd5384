import { createWriteStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { finished } from 'node:stream/promises';

/** Logs text from `source`, a part of the local stack. Each line becomes an entry. */
export type Log = (source: string, text: string) => void;

export interface LogFile {
  readonly log: Log;
  close(): Promise<void>;
}

/** Opens an empty log file in an existing folder. `echo` also receives every entry. */
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
      // A log that cannot be written, such as on a full disk, must not keep the stack from ending.
      await finished(stream).catch(() => {});
    },
  };
}
