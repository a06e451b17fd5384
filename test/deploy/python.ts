import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

const REQUIREMENTS = fileURLToPath(new URL('requirements.txt', import.meta.url));
const [MAJOR, MINOR] = [3, 10];
const NAMES = ['python3', 'python', ...[14, 13, 12, 11, 10].map((minor) => `python3.${minor}`)];

/** Thrown where this machine cannot run the emulator. Its message is one line, for the user: the tests are skipped, not failed. */
export class OutOfReach extends Error {}

/**
 * Makes a Python environment in `directory`, with the emulator in it. Gives the path of its interpreter.
 * Throws `OutOfReach` where there is no Python 3.10, or it cannot get the packages.
 */
export async function makePython(directory: string): Promise<string> {
  const python = await findPython();
  const environment = join(directory, 'python');
  try {
    await run(python, ['-m', 'venv', environment]);
  } catch (error) {
    throw new OutOfReach(`${python} cannot make a virtual environment: ${lastLine(error)}`);
  }
  const made = join(environment, 'bin', 'python');
  try {
    // Wheels only: nothing is compiled on this machine.
    // Nor to byte code, of which little is used: it is done as modules are loaded.
    const options = ['--quiet', '--disable-pip-version-check', '--no-input', '--only-binary', ':all:', '--no-compile'];
    await run(made, ['-m', 'pip', 'install', ...options, '--requirement', REQUIREMENTS]);
  } catch (error) {
    throw new OutOfReach(`pip could not install ministack, the AWS emulator: ${lastLine(error)}`);
  }
  return made;
}

async function findPython(): Promise<string> {
  const found: string[] = [];
  for (const name of NAMES) {
    const version = await versionOf(name);
    if (!version) continue;
    if (version.major === MAJOR && version.minor >= MINOR) return name;
    found.push(`${name} is ${version.major}.${version.minor}`);
  }
  throw new OutOfReach(`There is no Python ${MAJOR}.${MINOR} or later (${found.join(', ') || 'none at all'}).`);
}

async function versionOf(python: string): Promise<{ major: number; minor: number } | undefined> {
  try {
    const { stdout } = await run(python, ['-c', 'import sys; print(*sys.version_info[:2])']);
    const [major = 0, minor = 0] = stdout.trim().split(' ').map(Number);
    return { major, minor };
  } catch {
    return undefined;
  }
}

/** What a command had to say last. */
function lastLine(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const said = (stream: 'stdout' | 'stderr'): string => (stream in error ? String(Reflect.get(error, stream)) : '');
  if (said('stdout').includes('ensurepip is not available'))
    return 'it has no ensurepip (Debian: apt-get install python3-venv)';
  return said('stderr').trim().split('\n').at(-1) || error.message;
}
