import { readFile, writeFile } from 'node:fs/promises';
import { relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { allRoutes } from '../core/contract/index.ts';
import { openapiText } from '../core/contract/openapi.ts';

const HELP = `Usage: npm run openapi -- [--check] [FILE]

Writes the OpenAPI 3.1 document of the contract (core/contract) to FILE.

  FILE     Default: docs/openapi.json
  --check  Write nothing; exit with 1 when FILE is not what the contract says
  --help   Print this`;

const DEFAULT_FILE = resolve(import.meta.dirname, '../docs/openapi.json');

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : undefined);

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
  const wanted = openapiText(allRoutes);
  const found = await textOf(file);
  if (!check) {
    await writeFile(file, wanted);
    return console.log(found === wanted ? `${name} was up to date.` : `Wrote ${name}.`);
  }
  if (found === wanted) return console.log(`${name} is up to date.`);
  throw new Error(
    `${name} ${found === undefined ? 'does not exist' : 'is not what the contract says'}. Run "npm run openapi" and commit the file.`,
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
