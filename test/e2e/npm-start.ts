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
  /** Of npm. */
  readonly pid: number;
  readonly ended: Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>;
}

/** Runs `npm <args>` as a user does in a shell. */
export const npm = (...args: string[]): Command => npmWith({}, ...args);

/** As `npm`, with these environment variables, or in a process group of its own, as a terminal gives it to a command. */
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
  /** Ends the stack, whatever state it is in. */
  close(): Promise<void>;
}

export interface StartOptions {
  /** In a process group of its own, as a terminal gives it to a command. */
  readonly detached?: boolean;
  readonly args?: readonly string[];
  /** Of `--port`; null leaves it out. Default: 0, any free ports. */
  readonly port?: number | null;
  /** Default: a new one, deleted at the end. */
  readonly stateDirectory?: string;
}

/**
 * A port for a stack that is stopped and started again at the same addresses. It is below the range from which systems take the ports of
 * outgoing connections, so that none of these has it meanwhile.
 */
export const restartablePort = (): number => 20_000 + 10 * Math.floor(Math.random() * 1_000);

/** `npm start` on free ports and with its own state directory, so that it is in nobody's way. Waits until it is ready. */
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

/** A process and everything it has started, as process IDs. */
export function processTree(root: number): number[] {
  const pairs = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number));
  const below = (parent: number): number[] =>
    pairs.flatMap(([pid = 0, ppid]) => (ppid === parent ? [pid, ...below(pid)] : []));
  return [root, ...below(root)];
}

/** Which of these processes still run; the dead whom nobody has buried yet do not count. */
export function stillRunning(pids: readonly number[]): string[] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,stat=,args='], { encoding: 'utf8' }).split('\n');
  return lines.filter((line) => {
    const [pid, stat = ''] = line.trim().split(/\s+/);
    return pids.includes(Number(pid)) && !stat.startsWith('Z');
  });
}
