import { type Config, isSameConfig, loadConfig } from './config.ts';

/** How often the stack is asked whether it is back, in milliseconds. A page is back within 5 seconds of its service. */
const EVERY_MS = 1_000;

export interface Recovery {
  /** Call it with every change of the connection. */
  onConnection(isLost: boolean): void;
  /** Asks at once. */
  checkNow(): void;
  close(): void;
}

/**
 * Watches for the stack while the connection is lost, and calls `onBack` when it answers. The policy of the page lets it talk to the
 * addresses it was loaded with only: where the stack has others now, `onMoved` is called instead.
 */
export function watchForRecovery({
  config,
  onBack,
  onMoved,
  load = loadConfig,
}: {
  config: Config;
  /** `isFirst`: for the first time since the connection was lost, or since the stack did not answer. */
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
