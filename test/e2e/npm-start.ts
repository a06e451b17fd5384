import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Endpoints, runningStacks } from '../../local/cli/endpoints.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Command {
  /** Process ID of npm. */
  readonly pid: number;
  readonly ended: Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>;
}

/** Runs `npm <args>` as a user does in a shell. */
export const npm = (...args: string[]): Command => npmWith({}, ...args);

/** Like `npm`, with additional environment variables. `detached` starts a new process group, as a terminal does. */
export function npmWith(
  { variables = {}, detached = false }: { variables?: Readonly<Record<string, string>>; detached?: boolean },
  ...args: string[]
): Command {
  const child = spawn('npm', args, {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...variables },
    detached,
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text;
  });
  const ended = once(child, 'close').then(() => ({ code: child.exitCode, ...output }));
  return { pid: child.pid ?? 0, ended };
}

export interface RunningStack extends Endpoints {
  readonly command: Command;
  readonly stateDirectory: string;
  /** Stops the stack if it is still running, and waits for its end. */
  close(): Promise<void>;
}

export interface StartOptions {
  /** Starts a new process group, as a terminal does for a command. */
  readonly detached?: boolean;
  readonly args?: readonly string[];
  /** Value of `--port`; null omits the option. Default: 0, any free ports. */
  readonly port?: number | null;
  /** Default: a new directory, which is deleted at the end. */
  readonly stateDirectory?: string;
}

/**
 * Returns a random port for a stack that restarts at the same addresses. It is below the ephemeral port range, so an outgoing
 * connection cannot take it during the restart.
 */
export const restartablePort = (): number => 20_000 + 10 * Math.floor(Math.random() * 1_000);

/** Runs `npm start` on free ports with a new state directory, and waits until the stack is ready. */
export async function npmStart(options: StartOptions = {}): Promise<RunningStack> {
  const { detached = false, args = [], port = 0 } = options;
  const stateDirectory = options.stateDirectory ?? (await mkdtemp(join(tmpdir(), 'rooms-e2e-')));
  const before = await runningStacks(stateDirectory);
  const portArgs = port === null ? [] : ['--port', String(port)];
  const command = npmWith({ detached }, 'start', '--', ...portArgs, '--state-dir', stateDirectory, ...args);
  let result: Awaited<Command['ended']> | undefined;
  void command.ended.then((end) => {
    result = end;
  });
  const close = async (): Promise<void> => {
    if (!result) process.kill(command.pid, 'SIGTERM');
    await command.ended;
    if (options.stateDirectory === undefined) await rm(stateDirectory, { recursive: true, force: true });
  };
  for (;;) {
    if (result) throw new Error(`npm start ended with ${result.code}:\n${result.stdout}${result.stderr}`);
    const endpoints = (await runningStacks(stateDirectory)).find(({ pid }) => before.every((one) => one.pid !== pid));
    if (endpoints) return { ...endpoints, command, stateDirectory, close };
    await sleep(100);
  }
}

/** Returns the IDs of a process and all its descendants. */
export function processTree(root: number): number[] {
  const pairs = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number));
  const below = (parent: number): number[] =>
    pairs.flatMap(([pid = 0, ppid]) => (ppid === parent ? [pid, ...below(pid)] : []));
  return [root, ...below(root)];
}

/** Returns the processes that still run. Zombie processes do not count. */
export function stillRunning(pids: readonly number[]): string[] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,stat=,args='], { encoding: 'utf8' }).split('\n');
  return lines.filter((line) => {
    const [pid, stat = ''] = line.trim().split(/\s+/);
    return pids.includes(Number(pid)) && !stat.startsWith('Z');
  });
}
