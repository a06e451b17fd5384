/** The signals that end a process unless it listens for them. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const cleanups = new Set<() => void>();

function cleanUp(): void {
  // The last one first: nobody is to lose what it stands on.
  for (const cleanup of [...cleanups].reverse()) cleanup();
  cleanups.clear();
}

function onSignal(signal: NodeJS.Signals): void {
  // Whoever else listens for it closes what they have opened.
  if (process.listenerCount(signal) > 1) return;
  cleanUp();
  listen(false);
  process.kill(process.pid, signal);
}

function listen(on: boolean): void {
  const change = on ? 'on' : 'off';
  process[change]('exit', cleanUp);
  for (const signal of SIGNALS) process[change](signal, onSignal);
}

/**
 * Sees to it that something is done should this process end before it is called off: by an error, by `process.exit`, or by a
 * signal, such as Ctrl-C, that nobody else listens for. Nothing can be waited for then.
 *
 * @returns what calls it off
 */
export function atEnd(cleanup: () => void): () => void {
  if (cleanups.size === 0) listen(true);
  cleanups.add(cleanup);
  return () => {
    cleanups.delete(cleanup);
    if (cleanups.size === 0) listen(false);
  };
}
