import { setTimeout as sleep } from 'node:timers/promises';
import { RoomsApiError } from '../client/src/index.ts';

/** Prints a line of the demo. */
export const say = (line: string): void => console.log(line);

/** The numbered steps of the demo. A step that fails ends the demo. */
export interface Story {
  chapter(title: string): void;
  /** Runs a step, and prints it with the outcome that `detail` returns. */
  step<T>(what: string, act: () => Promise<T>, detail?: (result: T) => string): Promise<T>;
  /** Runs a call that must fail with this code. */
  refused(what: string, code: string, act: () => Promise<unknown>): Promise<void>;
}

/** Throws if a condition is false, which ends the demo. */
export function expect(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`expected ${what}`);
}

export function story({ pauseMs }: { pauseMs: number }): Story {
  async function step<T>(what: string, act: () => Promise<T>, detail?: (result: T) => string): Promise<T> {
    try {
      const result = await act();
      say(`  ✓ ${what}${detail ? `\n      ${detail(result)}` : ''}`);
      await sleep(pauseMs);
      return result;
    } catch (cause) {
      say(`  ✗ ${what}`);
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`The demo failed at "${what}": ${reason}`, { cause });
    }
  }
  return {
    chapter: (title) => say(`\n${title}`),
    step,
    refused: async (what, code, act) => {
      const refusal = async (): Promise<RoomsApiError> => {
        const outcome = await act().catch((error: unknown) => error);
        expect(outcome instanceof RoomsApiError, `${code}, but it worked`);
        expect(outcome.code === code, `${code}, but got ${outcome.code}`);
        return outcome;
      };
      await step(what, refusal, ({ status, message }) => `${status ? `${status} ` : ''}${code}: ${message}`);
    },
  };
}
