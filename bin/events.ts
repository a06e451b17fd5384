import { readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { realtimeDocs } from '../core/contract/realtime-docs.ts';

const HELP = `Usage: npm run events:docs -- [--check] [FOLDER]

Writes the pages on the WebSocket API and the event bus, and the JSON Schema of the bus's events, from the contract
(core/contract/realtime.ts): ${Object.keys(realtimeDocs()).join(', ')}.

  FOLDER   Default: docs
  --check  Write nothing; exit with 1 when a file is not what the contract says
  --help   Print this`;

const DEFAULT_FOLDER = resolve(import.meta.dirname, '../docs');

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : undefined);

async function textOf(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { check: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h', default: false } },
  });
  if (values.help) return console.log(HELP);
  if (positionals.length > 1) throw new Error('Name one folder at most.');
  const folder = positionals[0] ? resolve(positionals[0]) : DEFAULT_FOLDER;
  const stale: string[] = [];
  for (const [name, wanted] of Object.entries(realtimeDocs())) {
    const file = resolve(folder, name);
    if ((await textOf(file)) === wanted) continue;
    stale.push(name);
    if (!values.check) await writeFile(file, wanted);
  }
  if (stale.length === 0) return console.log('The pages are up to date.');
  if (!values.check) return console.log(`Wrote ${stale.join(', ')}.`);
  throw new Error(`Not what the contract says: ${stale.join(', ')}. Run "npm run events:docs" and commit the files.`);
}

try {
  await main();
} catch (error) {
  const isUsage = String(codeOf(error)).startsWith('ERR_PARSE_ARGS');
  console.error(error instanceof Error ? error.message : error);
  if (isUsage) console.error(`\n${HELP}`);
  process.exitCode = isUsage ? 2 : 1;
}
