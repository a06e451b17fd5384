import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf } from '../cli/error-text.ts';

export interface Generated {
  /** The name of the command's npm script. */
  readonly script: string;
  /** The description for --help. */
  readonly about: string;
  /** The default target, a file or a folder. */
  readonly target: { readonly FILE: string } | { readonly FOLDER: string };
  /** The generated texts, by file. */
  readonly texts: (target: string) => Promise<Readonly<Record<string, string>>> | Readonly<Record<string, string>>;
}

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : undefined);

async function textOf(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Runs a command that writes files which are generated from the contract; with `--check`, it only compares them. Sets
 * the process's exit code: 0, 1 if a file is stale or cannot be written, 2 for unknown options.
 */
export async function generate({ script, about, target, texts }: Generated): Promise<void> {
  const [[kind = '', usual = ''] = []] = Object.entries(target);
  const help = `Usage: npm run ${script} -- [--check] [${kind}]

${about}

  ${kind.padEnd(7)}  Default: ${relative(resolve(import.meta.dirname, '../..'), usual)}
  --check  Write nothing; exit with 1 if a file does not match the contract
  --help   Print this`;

  const main = async (): Promise<string> => {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { check: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h', default: false } },
    });
    if (values.help) return help;
    if (positionals.length > 1) throw new Error(`Specify at most one ${kind.toLowerCase()}.`);
    const stale: string[] = [];
    for (const [file, wanted] of Object.entries(await texts(positionals[0] ? resolve(positionals[0]) : usual))) {
      const found = await textOf(file);
      if (found === wanted) continue;
      stale.push(`${relative(process.cwd(), file)}${found === undefined && values.check ? ' (missing)' : ''}`);
      if (values.check) continue;
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, wanted);
    }
    if (stale.length === 0) return 'Up to date.';
    if (!values.check) return `Wrote ${stale.join(', ')}.`;
    throw new Error(`Out of date: ${stale.join(', ')}. Run "npm run ${script}" and commit the output.`);
  };

  try {
    console.log(await main());
  } catch (error) {
    const isUsage = String(codeOf(error)).startsWith('ERR_PARSE_ARGS');
    console.error(messageOf(error));
    if (isUsage) console.error(`\n${help}`);
    process.exitCode = isUsage ? 2 : 1;
  }
}
