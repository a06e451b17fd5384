import type { Deadline, Watch } from '../platform/deadline.ts';

/*
 * How long a function that others wait for waits for connections that do not answer: see docs/decisions/0032-lanes.md.
 */

/** How long nothing may be answered, in ticks: about 50 ms. */
export const PATIENCE_TICKS = 5;
/**
 * The same for the first requests of a process, which open sockets and run code that is not compiled yet: about 500 ms.
 */
export const FIRST_PATIENCE_TICKS = 50;
/** So many requests are the first ones: as many as are under way at the same time at first. */
export const FIRST_REQUESTS = 25;
/**
 * In milliseconds. Ticks are counted, and not the time, so that a process that gets no processor for a while does not take answers that it has not read for
 * missing.
 */
const TICK_MS = 10;

export interface Standstill {
  /** A request has begun. */
  begin(): void;
  /** A request has ended, whatever its answer was. */
  end(): void;
  /** A tick has passed. Returns whether nothing has been answered for too many. */
  tick(): boolean;
}

/** Counts the ticks in which requests were under way and none was answered. Pure. */
export function standstill(limit: () => number): Standstill {
  let underWay = 0;
  let quiet = 0;
  return {
    begin() {
      if (underWay++ === 0) quiet = 0;
    },
    end() {
      underWay--;
      quiet = 0;
    },
    tick: () => underWay > 0 && ++quiet >= limit(),
  };
}

/** Requests of this process that have been answered. */
let answered = 0;
const limit = (): number => (answered < FIRST_REQUESTS ? FIRST_PATIENCE_TICKS : PATIENCE_TICKS);

/** A deadline that comes early where requests are under way, and none is answered for about 50 ms. */
export interface Patience extends Deadline {
  readonly watch: Watch;
  /** Returns whether the deadline has come early. */
  isOver(): boolean;
  /** Stops watching. */
  end(): void;
}

/** Returns what waits for requests as long as others are answered, and for about 50 ms beyond them. Throttled ones are answered. */
export function patienceWithin(deadline: Deadline): Patience {
  const over = new AbortController();
  const still = standstill(limit);
  let timer: NodeJS.Timeout | undefined;
  const stop = (): void => clearInterval(timer);
  const tick = (): void => {
    if (!still.tick()) return;
    stop();
    over.abort();
  };
  return {
    signal: AbortSignal.any([deadline.signal, over.signal]),
    leftMs: () => deadline.leftMs(),
    isOver: () => over.signal.aborted && !deadline.signal.aborted,
    end: stop,
    async watch(request) {
      timer ??= setInterval(tick, TICK_MS);
      still.begin();
      try {
        return await request();
      } finally {
        still.end();
        if (!over.signal.aborted) answered++;
      }
    },
  };
}
