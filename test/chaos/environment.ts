import { promiseHooks } from 'node:v8';
import { threadId } from 'node:worker_threads';

/* Wraps the handler of a bundle in each execution environment: gives it a different clock, and kills it at an await. */

/** The context of an invocation, in addition to its event. */
export interface Told {
  /** Identifies the current clock settings. When it changes, an environment chooses a new clock. */
  readonly clocks: number;
  /** The maximum deviation of this clock, in milliseconds. */
  readonly offByMs: number;
  /** The number of the await at which the process is killed. 0 for never. */
  readonly killAt: number;
}

export interface Envelope {
  readonly told: Told;
  readonly event: unknown;
}

interface Context {
  readonly getRemainingTimeInMillis: () => number;
}

type Handler = (event: unknown, context: Context) => unknown;

let clocks: number | undefined;
let offset = 0;
const RealDate = Date;

class SkewedDate extends RealDate {
  constructor(...given: [] | [number | string | Date]) {
    const [value = RealDate.now() + offset] = given;
    super(value);
  }
  static override now(): number {
    return RealDate.now() + offset;
  }
}

/** A number from -1 to 1 that depends on this environment. */
function place(seed: number): number {
  const mixed = Math.imul(seed ^ Math.imul(threadId, 0x9e3779b1), 0x85ebca6b) >>> 0;
  return (mixed / 0xffffffff) * 2 - 1;
}

function setClock({ clocks: named, offByMs }: Told): void {
  if (clocks === named) return;
  clocks = named;
  offset = Math.round(place(named) * offByMs);
  globalThis.Date = SkewedDate as DateConstructor;
}

/** Kills the process at a later await. Returns a function that cancels this. */
function killAt(count: number): () => void {
  if (count <= 0) return () => {};
  let left = count;
  return promiseHooks.onBefore(() => {
    left -= 1;
    if (left === 0) process.exit(137);
  }) as () => void;
}

/** Wraps the handler of a bundle. */
export const underFaults =
  (handler: Handler): Handler =>
  async (envelope, context) => {
    const { told, event } = envelope as Envelope;
    setClock(told);
    const spare = killAt(told.killAt);
    try {
      return await handler(event, {
        ...context,
        // Lambda counts down by the clock of its host, which is not this clock.
        getRemainingTimeInMillis: () => Math.max(0, context.getRemainingTimeInMillis() + offset),
      });
    } finally {
      spare();
    }
  };
