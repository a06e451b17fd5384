import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { clientContract } from '../client-contract.ts';
import { generate } from '../command.ts';

const ROOT = resolve(import.meta.dirname, '../../..');
const FILE = resolve(ROOT, 'client/src/contract.ts');

/** Formats source code with the formatter of this repository. */
async function formatted(source: string): Promise<string> {
  const biome = spawn(
    process.execPath,
    [resolve(ROOT, 'node_modules/@biomejs/biome/bin/biome'), 'format', `--stdin-file-path=${FILE}`],
    { cwd: ROOT, stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const exit = new Promise<number | null>((resolve, reject) => {
    biome.once('error', reject);
    biome.once('exit', resolve);
  });
  biome.stdin.end(source);
  const [result, code] = await Promise.all([text(biome.stdout), exit]);
  if (code !== 0) throw new Error(`The formatter failed with code ${code}.`);
  return result;
}

await generate({
  script: 'client:generate',
  about: `Writes the part of the contract (core/contract) that the client SDK needs: the table of calls, and the types of requests,
  responses, actions and events.`,
  target: { FILE },
  texts: async (file) => ({ [file]: await formatted(clientContract()) }),
});
