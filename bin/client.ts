import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { relative, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { clientContract } from '../core/contract/typescript.ts';

const HELP = `Usage: npm run client:generate -- [--check] [FILE]

Writes the client SDK's share of the contract (core/contract) to FILE: the table of calls, and the types of requests,
answers, actions and events.

  FILE     Default: client/src/contract.ts
  --check  Write nothing; exit with 1 when FILE is not what the contract says
  --help   Print this`;

const ROOT = resolve(import.meta.dirname, '..');
const DEFAULT_FILE = resolve(ROOT, 'client/src/contract.ts');

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : undefined);

/** As the formatter of this repository writes it. */
async function formatted(source: string): Promise<string> {
  const biome = spawn(
    process.execPath,
    [resolve(ROOT, 'node_modules/@biomejs/biome/bin/biome'), 'format', `--stdin-file-path=${DEFAULT_FILE}`],
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

async function textOf(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function options() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { check: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h', default: false } },
  });
  if (positionals.length > 1) throw new Error('Name one file at most.');
  return { ...values, file: positionals[0] ? resolve(positionals[0]) : DEFAULT_FILE };
}

async function main(): Promise<void> {
  const { check, help, file } = options();
  if (help) return console.log(HELP);
  const name = relative(process.cwd(), file);
  const [wanted, found] = await Promise.all([formatted(clientContract()), textOf(file)]);
  if (!check) {
    await writeFile(file, wanted);
    return console.log(found === wanted ? `${name} was up to date.` : `Wrote ${name}.`);
  }
  if (found === wanted) return console.log(`${name} is up to date.`);
  throw new Error(
    `${name} ${found === undefined ? 'does not exist' : 'is not what the contract says'}. Run "npm run client:generate" and commit the file.`,
  );
}

try {
  await main();
} catch (error) {
  const isUsage = String(codeOf(error)).startsWith('ERR_PARSE_ARGS');
  console.error(error instanceof Error ? error.message : error);
  if (isUsage) console.error(`\n${HELP}`);
  process.exitCode = isUsage ? 2 : 1;
}
