import { execFile } from 'node:child_process';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from '../e2e/npm-start.ts';

const run = promisify(execFile);

/** A program with a generated client that is ready to run. */
export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Thrown with the reason why a program cannot be built on this machine. */
export interface OutOfReach {
  readonly outOfReach: string;
}

/** Runs a command that downloads tools or packages. Returns the last line of its output if it fails. */
async function fetched(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<OutOfReach | undefined> {
  try {
    await run(command, args, { ...options, maxBuffer: 2 ** 26 });
    return undefined;
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
    return {
      outOfReach: `"${command} ${args.slice(0, 3).join(' ')}" failed: ${said.split('\n').at(-1) || String(error)}`,
    };
  }
}

const NEEDS_3_10 =
  'import sys; assert sys.version_info >= (3, 10), f"Python {sys.version_info[0]}.{sys.version_info[1]} is too old"';

/** Generates the Python client in a directory, as examples/python/README.md describes. */
export async function pythonProgram(directory: string): Promise<Program | OutOfReach> {
  const example = join(ROOT, 'examples/python');
  const bin = join(directory, 'venv/bin');
  const missing =
    (await fetched('python3', ['-c', NEEDS_3_10])) ??
    (await fetched('python3', ['-m', 'venv', join(directory, 'venv')])) ??
    (await fetched(join(bin, 'pip'), ['install', '--quiet', '--requirement', join(example, 'requirements.txt')]));
  if (missing) return missing;
  const generator = ['generate', '--path', join(ROOT, 'docs/openapi.json'), '--meta', 'none'];
  // The generator finds ruff through PATH.
  await run(
    join(bin, 'openapi-python-client'),
    [...generator, '--fail-on-warning', '--output-path', join(directory, 'rooms_client')],
    { env: { ...process.env, PATH: `${bin}:${process.env.PATH ?? ''}` } },
  );
  return {
    command: join(bin, 'python'),
    args: [join(example, 'demo.py')],
    cwd: directory,
    env: { PYTHONPATH: directory, PYTHONDONTWRITEBYTECODE: '1' },
  };
}

/** Generates and compiles the Go client in a copy of examples/go, as its README.md describes. */
export async function goProgram(directory: string): Promise<Program | OutOfReach> {
  const cwd = join(directory, 'examples/go');
  await cp(join(ROOT, 'examples/go'), cwd, { recursive: true });
  await cp(join(ROOT, 'docs/openapi-3.0.json'), join(directory, 'docs/openapi-3.0.json'));
  const missing = (await fetched('go', ['version'])) ?? (await fetched('go', ['mod', 'download'], { cwd }));
  if (missing) return missing;
  await run('go', ['generate', './...'], { cwd, maxBuffer: 2 ** 26 });
  await run('go', ['vet', './...'], { cwd, maxBuffer: 2 ** 26 });
  await run('go', ['build', '-o', 'demo', '.'], { cwd, maxBuffer: 2 ** 26 });
  return { command: join(cwd, 'demo'), args: [], cwd, env: {} };
}
