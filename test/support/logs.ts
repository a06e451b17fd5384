import { AsyncLocalStorage } from 'node:async_hooks';

export interface LogLine {
  readonly level: 'info' | 'error';
  readonly entry: unknown;
}

const running = new AsyncLocalStorage<LogLine[]>();

for (const level of ['info', 'error'] as const) {
  const write = console[level].bind(console);
  console[level] = (...args: unknown[]) => {
    const lines = running.getStore();
    if (lines) lines.push({ level, entry: args.length === 1 ? args[0] : args });
    else write(...args);
  };
}

/** Runs `work`, and returns its log entries instead of printing them. */
export async function logged<T>(work: () => Promise<T>): Promise<{ result: T; lines: readonly LogLine[] }> {
  const lines: LogLine[] = [];
  const result = await running.run(lines, work);
  return { result, lines };
}
