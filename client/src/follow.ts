import { sequence } from './sequence.ts';
import { sleep } from './timing.ts';

/*
 * Keeps one feed of `rooms.v2` complete. Waits for missing events, and reads them if they do not arrive. sequence.ts
 * makes the decisions.
 */

/**
 * The maximum of a random delay before reading, in milliseconds, so that clients that miss the same events do not all
 * read at once.
 */
export const GAP_JITTER_MS = 2_000;
/** How much later than the reply to a ping an earlier frame may arrive, in milliseconds. */
export const PING_LEAD_MS = 3_000;

export interface FeedHost<Event> {
  deliver(events: readonly Event[]): void;
  /**
   * Reads the missing events, and retries until that works or the signal aborts. Returns a function that delivers them,
   * together with the held events that the reading covers.
   */
  read(signal: AbortSignal): Promise<(covered: readonly Event[]) => void>;
  /** Called if reading fails permanently. */
  onFailure(error: unknown): void;
}

export interface FollowedFeed<Event> {
  /** No event up to this number is missing. NaN before the first start. */
  readonly position: number;
  /** True between `start` and `lost`. */
  readonly isFollowing: boolean;
  /**
   * Starts from the position in the reply to a join, or continues from a position up to which everything was read.
   * Returns the held events that follow, for delivery by the caller.
   */
  start(position: number): readonly Event[];
  /** Takes a frame whose first event has the number `seq`. */
  take(seq: number, events: readonly Event[]): void;
  /** Takes the last number of the feed, from the reply to a ping. */
  told(seq: number): void;
  /** Call it when the socket or the join is lost. */
  lost(): void;
}

export function followFeed<Event>(host: FeedHost<Event>): FollowedFeed<Event> {
  const numbers = sequence<Event>();
  /** Fills the current gap. */
  let filling: AbortController | undefined;

  async function fill(waitMs: number, signal: AbortSignal): Promise<void> {
    await sleep(waitMs + Math.random() * GAP_JITTER_MS, signal);
    numbers.waited();
    const deliverRead = await host.read(signal);
    signal.throwIfAborted();
    const { covered, next } = numbers.filled();
    filling = undefined;
    deliverRead(covered);
    host.deliver(next);
    watch();
  }

  /** Starts or stops to fill a gap, depending on the numbers. */
  function watch(waitMs = 0): void {
    const isMissing = numbers.phase === 'gap' || numbers.phase === 'reading';
    if (isMissing === Boolean(filling)) return;
    filling?.abort();
    filling = isMissing ? new AbortController() : undefined;
    if (!filling) return;
    const { signal } = filling;
    fill(waitMs, signal).catch((error: unknown) => {
      if (!signal.aborted) host.onFailure(error);
    });
  }

  return {
    get position() {
      return numbers.position;
    },
    get isFollowing() {
      return numbers.phase !== 'away';
    },
    start(position) {
      const next = numbers.start(position);
      watch();
      return next;
    },
    take(seq, events) {
      host.deliver(numbers.take(seq, events));
      watch();
    },
    told(seq) {
      numbers.told(seq);
      watch(PING_LEAD_MS);
    },
    lost() {
      numbers.lost();
      watch();
    },
  };
}
