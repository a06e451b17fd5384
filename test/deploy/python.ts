import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

const REQUIREMENTS = fileURLToPath(new URL('requirements.txt', import.meta.url));
const [MAJOR, MINOR] = [3, 10];
const NAMES = ['python3', 'python', ...[14, 13, 12, 11, 10].map((minor) => `python3.${minor}`)];

/** Thrown if this machine cannot run the emulator. The tests are then skipped, and the one-line message is shown. */
export class OutOfReach extends Error {}

/**
 * Creates a virtual environment with the emulator in `directory`. Returns the path of its interpreter.
 *
 * @throws {OutOfReach} if Python 3.10 is missing, or the packages cannot be installed.
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
    // Installs only wheels, because this machine may lack a compiler. Python compiles modules to byte code when they are loaded.
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

/** Returns the last line of a failed command's output. */
function lastLine(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const said = (stream: 'stdout' | 'stderr'): string => (stream in error ? String(Reflect.get(error, stream)) : '');
  if (said('stdout').includes('ensurepip is not available'))
    return 'it has no ensurepip (Debian: apt-get install python3-venv)';
  return said('stderr').trim().split('\n').at(-1) || error.message;
}
