import { type Config, isSameConfig, loadConfig } from './config.ts';

/** Interval between checks of whether the stack responds again, in milliseconds. A page must reconnect within 5 seconds. */
const EVERY_MS = 1_000;

export interface Recovery {
  /** Must be called for every change of the connection. */
  onConnection(isLost: boolean): void;
  /** Checks at once. */
  checkNow(): void;
  close(): void;
}

/**
 * Polls the stack while the connection is lost, and calls `onBack` when it responds. If the stack has other addresses now, calls
 * `onMoved` instead, because the Content Security Policy allows only the addresses from the last load.
 */
export function watchForRecovery({
  config,
  onBack,
  onMoved,
  load = loadConfig,
}: {
  config: Config;
  /** `isFirst` is true for the first response after the connection was lost, or after the stack did not respond. */
  onBack: (answer: { readonly isFirst: boolean }) => void;
  onMoved: () => void;
  load?: () => Promise<Config>;
}): Recovery {
  let lost = false;
  let closed = false;
  let isFirst = true;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let checking = false;

  async function check(): Promise<void> {
    clearTimeout(timer);
    if (checking) return;
    checking = true;
    try {
      const now = await load();
      if (closed) return;
      if (!isSameConfig(now, config)) {
        closed = true;
        return onMoved();
      }
      if (lost) onBack({ isFirst });
      isFirst = false;
    } catch {
      // The stack still does not respond. The next check follows.
      isFirst = true;
    } finally {
      checking = false;
      if (lost && !closed) timer = setTimeout(() => void check(), EVERY_MS);
    }
  }

  return {
    onConnection(isLost) {
      if (isLost === lost) return;
      lost = isLost;
      clearTimeout(timer);
      if (lost) {
        isFirst = true;
        timer = setTimeout(() => void check(), EVERY_MS);
      }
    },
    checkNow: () => void check(),
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}
