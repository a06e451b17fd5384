/*
 * Follows the numbers of one feed of `rooms.v2`: decides which events to deliver now, which to hold back, and whether
 * some are missing. Pure: no I/O, no clock. follow.ts does the waiting and reading.
 */

export type SequencePhase =
  /** Not joined: the position is unknown or old. Events are held back. */
  | 'away'
  /** No event is missing up to the highest number that was seen. */
  | 'in_step'
  /** Events are missing, but may still arrive. */
  | 'gap'
  /** Missing events are being read, but may still arrive. */
  | 'reading';

export type SequenceInput =
  /** The reply to a join contained the position. */
  | 'started'
  /** A number after the next expected one was seen. */
  | 'ahead'
  /** All events up to the highest number have arrived. */
  | 'complete'
  /** The wait for missing events has ended. */
  | 'waited'
  /** The socket or the join is lost. */
  | 'lost';

const TRANSITIONS: Readonly<Record<SequencePhase, Readonly<Partial<Record<SequenceInput, SequencePhase>>>>> = {
  away: { started: 'in_step' },
  in_step: { ahead: 'gap', lost: 'away' },
  gap: { complete: 'in_step', waited: 'reading', lost: 'away' },
  reading: { complete: 'in_step', ahead: 'gap', lost: 'away' },
};

/** Returns the phase after an input, or the same phase if nothing changes. */
export const nextSequencePhase = (phase: SequencePhase, input: SequenceInput): SequencePhase =>
  TRANSITIONS[phase][input] ?? phase;

/**
 * The maximum number of held events. Further ones count as missing, because a read after they were seen contains them.
 */
export const MAX_HELD = 1_000;

export interface Sequence<Event> {
  readonly phase: SequencePhase;
  /** No event up to this number is missing. NaN before the first start. */
  readonly position: number;
  /**
   * Starts from the position in the reply to a join, or continues from a position up to which everything was read.
   * Returns the held events that follow.
   */
  start(position: number): readonly Event[];
  /** Takes a frame whose first event has the number `seq`. Returns the events to deliver now. */
  take(seq: number, events: readonly Event[]): readonly Event[];
  /** Takes the last number of the feed, from the reply to a ping. */
  told(seq: number): void;
  /** Begins reading. The read will contain everything up to the highest number that was seen before. */
  waited(): void;
  /** Ends reading. Returns the held events that the reading covers, and those that follow. */
  filled(): { readonly covered: readonly Event[]; readonly next: readonly Event[] };
  /** Drops held events. Keeps the position. */
  lost(): void;
}

export function sequence<Event>(): Sequence<Event> {
  const held = new Map<number, Event>();
  let phase: SequencePhase = 'away';
  let position = Number.NaN;
  /** The highest number that was seen. */
  let highest = 0;
  /** The highest number that was seen before the reading began. */
  let target = 0;

  const go = (input: SequenceInput): void => {
    phase = nextSequencePhase(phase, input);
  };

  /**
   * Advances the position while `isNext` returns true for the next number. Returns the held events with these numbers.
   */
  function advance(isNext: (number: number) => boolean): Event[] {
    const events: Event[] = [];
    while (isNext(position + 1)) {
      const event = held.get(++position);
      if (event !== undefined) events.push(event);
      held.delete(position);
    }
    return events;
  }
  const isHeld = (number: number) => held.has(number);

  return {
    get phase() {
      return phase;
    },
    get position() {
      return position;
    },
    start(from) {
      position = from;
      for (const number of held.keys()) if (number <= from) held.delete(number);
      highest = Math.max(highest, from);
      const next = advance(isHeld);
      go('started');
      go(highest > position ? 'ahead' : 'complete');
      return next;
    },
    take(seq, events) {
      const isAway = phase === 'away';
      const next: Event[] = [];
      for (const [n, event] of events.entries()) {
        const number = seq + n;
        if (!isAway && number === position + 1) {
          held.delete(number);
          position = number;
          next.push(event);
        } else if ((isAway || number > position) && held.size < MAX_HELD) held.set(number, event);
      }
      highest = Math.max(highest, seq + events.length - 1);
      if (isAway) return [];
      next.push(...advance(isHeld));
      if (highest <= position) go('complete');
      else if (phase === 'in_step') go('ahead');
      return next;
    },
    told(seq) {
      if (phase === 'away') return;
      highest = Math.max(highest, seq);
      if (phase === 'in_step' && highest > position) go('ahead');
    },
    waited() {
      target = highest;
      go('waited');
    },
    filled() {
      const covered = advance((number) => number <= target);
      const next = advance(isHeld);
      go(highest > position ? 'ahead' : 'complete');
      return { covered, next };
    },
    lost() {
      held.clear();
      highest = 0;
      go('lost');
    },
  };
}
