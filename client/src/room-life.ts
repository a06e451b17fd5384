import { type Effect, type Input, type Phase, step } from './room-machine.ts';

/* Runs the state machine of a room: performs the effects of each transition, and aborts those of the phase before. */

export interface RoomLife<Facts> {
  readonly phase: Phase;
  /** Aborts when the phase ends. */
  readonly signal: AbortSignal;
  /** Processes an input, and stores `news` in the facts. Returns false, and stores nothing, if the input changes nothing. */
  go(input: Input, news?: Partial<Facts>): boolean;
  /** Resolves when the phase has changed. */
  changed(): Promise<void>;
}

/** Performs an effect. Work ends, at the latest, when the signal aborts. */
export type Perform = (signal: AbortSignal) => Promise<void> | undefined | void;

/**
 * Starts the state machine of a room.
 *
 * @param onFailure Called with the error of an effect, unless its phase has ended
 */
export function roomLife<Facts extends object>(
  facts: Facts,
  perform: () => Readonly<Record<Effect, Perform>>,
  onFailure: (error: unknown) => void,
): RoomLife<Facts> {
  let phase: Phase = 'unjoined';
  let scope = new AbortController();
  let waiting: (() => void)[] = [];

  return {
    get phase() {
      return phase;
    },
    get signal() {
      return scope.signal;
    },
    go(input, news) {
      const next = step(phase, input);
      if (!next) return false;
      Object.assign(facts, news);
      scope.abort();
      scope = new AbortController();
      const { signal } = scope;
      phase = next.phase;
      const resumed = waiting;
      waiting = [];
      for (const resume of resumed) resume();
      for (const effect of next.effects) {
        const work = perform()[effect](signal);
        work?.catch((error: unknown) => {
          if (!signal.aborted) onFailure(error);
        });
        // An effect has led to another phase, for example because a listener left the room. The rest is outdated.
        if (signal.aborted) break;
      }
      return true;
    },
    changed: () => new Promise((resolve) => waiting.push(resolve)),
  };
}
