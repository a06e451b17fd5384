import type { Deadline, Watch } from '../platform/deadline.ts';

/*
 * How long a delivery waits for connections that do not respond, if other rooms wait for its invocation: see
 * docs/decisions/0032-lanes.md.
 */

/** The maximum time without any response, in ticks: about 40 ms. */
export const PATIENCE_TICKS = 4;
/**
 * The same, about 500 ms, for the first requests of a process, which open sockets and run code that is not compiled yet.
 * Also for posts to rooms.v1 connections: they get an event twice if a slow post is repeated.
 */
export const LONG_PATIENCE_TICKS = 50;
/** The number of first requests: the maximum of simultaneous requests in a new process. */
export const FIRST_REQUESTS = 25;
/**
 * The length of a tick, in milliseconds. Ticks are counted instead of measuring time: a process that gets no CPU for a
 * while must not count unread responses as missing.
 */
const TICK_MS = 10;

export interface Standstill {
  /** Records the start of a request. */
  begin(): void;
  /** Records the end of a request, with any result. */
  end(): void;
  /** Records a tick. Returns whether the limit of ticks without a response is reached. */
  tick(): boolean;
}

/** Counts ticks during which requests were pending and none received a response. Pure. */
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

/** The number of responses that this process has received. */
let answered = 0;

/** A deadline that comes early if requests are pending and none receives a response for about 40 ms. */
export interface Patience extends Deadline {
  readonly watch: Watch;
  /** Returns whether the deadline has come early. */
  isOver(): boolean;
  /** Stops watching. */
  end(): void;
}

/**
 * Returns a deadline that comes early when no request has received a response for about 40 ms, or about 500 ms while a
 * request with `isLong` is pending. A throttled request counts as a response.
 */
export function patienceWithin(deadline: Deadline): Patience {
  const over = new AbortController();
  let long = 0;
  const still = standstill(() => (long > 0 || answered < FIRST_REQUESTS ? LONG_PATIENCE_TICKS : PATIENCE_TICKS));
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
    async watch(request, isLong = false) {
      timer ??= setInterval(tick, TICK_MS);
      still.begin();
      if (isLong) long++;
      try {
        return await request();
      } finally {
        still.end();
        if (isLong) long--;
        if (!over.signal.aborted) answered++;
      }
    },
  };
}
