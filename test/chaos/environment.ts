import { promiseHooks } from 'node:v8';
import { threadId } from 'node:worker_threads';

/*
 * Runs in the execution environments of functions, around the handler of the bundle: gives each a clock of its own, and kills
 * it at an await.
 */

/** The context of an invocation, in addition to its event. */
export interface Told {
  /** Names the clocks: an environment takes a new one when this changes. */
  readonly clocks: number;
  /** How far this clock may be off, in milliseconds. */
  readonly offByMs: number;
  /** At which of the awaits that follow the process ends; 0 for never. */
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

/** A number from -1 to 1 for this environment. */
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

/** Ends the process at one of the awaits to come. Returns what calls it off. */
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
        // Lambda counts down by the clock of the host, which is this one.
        getRemainingTimeInMillis: () => Math.max(0, context.getRemainingTimeInMillis() + offset),
      });
    } finally {
      spare();
    }
  };
