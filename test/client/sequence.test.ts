import * as fc from 'fast-check';
import { ulid } from 'ulid';
import { describe, expect, test } from 'vitest';
import { messageLog } from '../../client/src/message-log.ts';
import {
  MAX_HELD,
  nextSequencePhase,
  type SequenceInput,
  type SequencePhase,
  sequence,
} from '../../client/src/sequence.ts';

describe('nextSequencePhase', () => {
  const PHASES: readonly SequencePhase[] = ['away', 'in_step', 'gap', 'reading'];
  const INPUTS: readonly SequenceInput[] = ['started', 'ahead', 'complete', 'waited', 'lost'];

  test.each<[SequencePhase, Partial<Record<SequenceInput, SequencePhase>>]>([
    ['away', { started: 'in_step' }],
    ['in_step', { ahead: 'gap', lost: 'away' }],
    ['gap', { complete: 'in_step', waited: 'reading', lost: 'away' }],
    ['reading', { complete: 'in_step', ahead: 'gap', lost: 'away' }],
  ])('leaves %s only for these inputs: %j', (phase, next) => {
    for (const input of INPUTS) expect(nextSequencePhase(phase, input), input).toBe(next[input] ?? phase);
  });

  test('can leave every phase, and return to following', () => {
    for (const phase of PHASES) {
      expect(nextSequencePhase(phase, 'lost')).toBe('away');
      expect(nextSequencePhase(nextSequencePhase(phase, 'lost'), 'started')).toBe('in_step');
    }
  });
});

describe('sequence', () => {
  /** Returns a sequence that has received number 10 and misses nothing. */
  const started = () => {
    const numbers = sequence<string>();
    numbers.start(10);
    return numbers;
  };

  test('delivers the next frame, and drops a duplicate', () => {
    const numbers = started();
    expect(numbers.take(11, ['k', 'l'])).toEqual(['k', 'l']);
    expect(numbers.take(11, ['k', 'l'])).toEqual([]);
    expect(numbers).toMatchObject({ phase: 'in_step', position: 12 });
  });

  test('delivers only the new part of a frame that overlaps', () => {
    const numbers = started();
    numbers.take(11, ['k']);
    expect(numbers.take(10, ['j', 'k', 'l'])).toEqual(['l']);
  });

  test('holds a frame that is ahead until the missing one arrives', () => {
    const numbers = started();
    expect(numbers.take(13, ['m'])).toEqual([]);
    expect(numbers.phase).toBe('gap');
    expect(numbers.take(12, ['l'])).toEqual([]);
    expect(numbers.take(11, ['k'])).toEqual(['k', 'l', 'm']);
    expect(numbers).toMatchObject({ phase: 'in_step', position: 13 });
  });

  test('notices a gap by a frame without events, and by a ping', () => {
    const numbers = started();
    expect(numbers.take(11, [])).toEqual([]);
    expect(numbers.phase).toBe('in_step');
    numbers.take(12, []);
    expect(numbers.phase).toBe('gap');
    const other = started();
    other.told(10);
    expect(other.phase).toBe('in_step');
    other.told(11);
    expect(other.phase).toBe('gap');
    expect(other.take(11, ['k'])).toEqual(['k']);
    expect(other.phase).toBe('in_step');
  });

  test('continues after a read, with the held events', () => {
    const numbers = started();
    numbers.take(13, ['m']);
    numbers.waited();
    expect(numbers.phase).toBe('reading');
    numbers.take(14, ['n']);
    expect(numbers.filled()).toEqual({ covered: ['m'], next: ['n'] });
    expect(numbers).toMatchObject({ phase: 'in_step', position: 14 });
  });

  test('finds the next gap after a read that began before it', () => {
    const numbers = started();
    numbers.take(13, ['m']);
    numbers.waited();
    numbers.take(16, ['p']);
    expect(numbers.filled()).toEqual({ covered: ['m'], next: [] });
    expect(numbers).toMatchObject({ phase: 'gap', position: 13 });
    expect(numbers.take(14, ['n', 'o'])).toEqual(['n', 'o', 'p']);
  });

  test('cancels a read if the missing frame arrives', () => {
    const numbers = started();
    numbers.take(12, ['l']);
    numbers.waited();
    expect(numbers.take(11, ['k'])).toEqual(['k', 'l']);
    expect(numbers.phase).toBe('in_step');
  });

  test('holds frames that arrive before the reply to the join, and starts from the number in the reply', () => {
    const numbers = sequence<string>();
    expect(numbers.position).toBeNaN();
    numbers.told(99);
    for (const [seq, event] of [
      [3, 'c'],
      [5, 'e'],
      [6, 'f'],
      [8, 'h'],
    ] as const)
      expect(numbers.take(seq, [event])).toEqual([]);
    expect(numbers.phase).toBe('away');
    expect(numbers.start(4)).toEqual(['e', 'f']);
    expect(numbers).toMatchObject({ phase: 'gap', position: 6 });
    expect(numbers.take(7, ['g'])).toEqual(['g', 'h']);
  });

  test('keeps its position when the socket closes, and drops held events', () => {
    const numbers = started();
    numbers.take(13, ['m']);
    numbers.lost();
    expect(numbers).toMatchObject({ phase: 'away', position: 10 });
    expect(numbers.start(12)).toEqual([]);
    expect(numbers.phase).toBe('in_step');
  });

  test('counts from an earlier number if the table was restored', () => {
    const numbers = started();
    numbers.lost();
    numbers.start(2);
    expect(numbers.take(3, ['c'])).toEqual(['c']);
  });

  test('holds a limited number of events, and treats the others as missing', () => {
    const numbers = started();
    const many = Array.from({ length: 3 * MAX_HELD }, (_, n) => String(n + 12));
    numbers.take(12, many);
    expect(numbers.take(11, ['11'])).toHaveLength(MAX_HELD + 1);
    expect(numbers).toMatchObject({ phase: 'gap', position: 11 + MAX_HELD });
    numbers.waited();
    expect(numbers.filled()).toEqual({ covered: [], next: [] });
    expect(numbers).toMatchObject({ phase: 'in_step', position: 11 + 3 * MAX_HELD });
  });
});

/*
 * Simulates the room on the server. Messages are stored, and later numbered in batches. A batch can be numbered again, as after a bisected
 * redelivery, and numbers can stay unused. Frames are lost, duplicated and reordered. The client reads, pings and joins again.
 */

interface Message {
  readonly message_id: string;
}

type Step =
  | { readonly kind: 'store'; readonly count: number }
  | { readonly kind: 'number'; readonly count: number; readonly isLost: boolean; readonly isDoubled: boolean }
  | { readonly kind: 'number_again'; readonly batch: number; readonly isLost: boolean }
  | { readonly kind: 'skip_numbers'; readonly count: number }
  | { readonly kind: 'post'; readonly which: number }
  | { readonly kind: 'ping' | 'wait' | 'read' | 'cut' };

const one = <Kind extends string>(...kinds: readonly Kind[]) => fc.record({ kind: fc.constantFrom(...kinds) });
const count = fc.integer({ min: 1, max: 4 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('store' as const), count }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('number' as const),
      count,
      isLost: fc.boolean(),
      isDoubled: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('number_again' as const), batch: fc.nat(20), isLost: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('skip_numbers' as const), count }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('post' as const), which: fc.nat(3) }) },
  { weight: 6, arbitrary: one('ping', 'wait', 'read') },
  { weight: 1, arbitrary: one('cut') },
);

/** Runs the steps, then delivers all remaining frames. Returns the stored and the delivered messages. */
function play(steps: readonly Step[], idOf: (n: number) => string) {
  const stored: Message[] = [];
  const batches: (readonly Message[])[] = [];
  /** Frames in transit. */
  let posted: { readonly seq: number; readonly events: readonly Message[] }[] = [];
  let numbered = 0;
  let last = 0;
  const numbers = sequence<Message>();
  // With overlap 0, the client reads history back to the newest complete message.
  const log = messageLog<Message>(0);
  const delivered: Message[] = [];
  let reading: readonly Message[] | undefined;
  let reads = 0;
  let gaps = 0;

  const deliver = (events: readonly Message[]) => {
    for (const event of events) delivered.push(...log.receive(event));
  };
  /** Counts gaps. Between two gaps, the client has received everything. */
  const watching = (work: () => void) => {
    const before = numbers.phase;
    work();
    if (numbers.phase === 'gap' && before !== 'gap') gaps++;
    if (numbers.phase === 'in_step' || numbers.phase === 'away') reading = undefined;
  };
  const give = (batch: readonly Message[], isLost: boolean, isDoubled = false) => {
    const frame = { seq: last + 1, events: batch };
    last += batch.length;
    if (!isLost) posted.push(frame);
    if (isDoubled) posted.push(frame);
  };
  const take = ({ seq, events }: (typeof posted)[number]) => watching(() => deliver(numbers.take(seq, events)));
  const wait = () => {
    if (numbers.phase !== 'gap') return;
    watching(() => numbers.waited());
    reading = [...stored];
    reads++;
  };
  const read = () => {
    if (numbers.phase !== 'reading' || !reading) return;
    const history = reading;
    watching(() => {
      const { covered, next } = numbers.filled();
      delivered.push(...log.catchUp(history, covered));
      deliver(next);
    });
  };
  const join = () => {
    delivered.push(...log.catchUp(numbers.position === last ? [] : stored));
    deliver(numbers.start(last));
  };

  join();
  for (const { kind, ...step } of steps as readonly (Step & Record<string, never>)[]) {
    if (kind === 'store') for (let n = 0; n < step.count; n++) stored.push({ message_id: idOf(stored.length) });
    if (kind === 'number') {
      const batch = stored.slice(numbered, numbered + step.count);
      numbered += batch.length;
      if (batch.length > 0) batches.push(batch);
      if (batch.length > 0) give(batch, step.isLost, step.isDoubled);
    }
    const again = kind === 'number_again' ? batches.at(-1 - step.batch) : undefined;
    if (again) give(again, step.isLost);
    if (kind === 'skip_numbers') last += step.count;
    if (kind === 'post') posted.splice(step.which, 1).forEach(take);
    if (kind === 'ping') watching(() => numbers.told(last));
    if (kind === 'wait') wait();
    if (kind === 'read') read();
    if (kind === 'cut') {
      watching(() => numbers.lost());
      log.hold();
      posted = [];
      join();
    }
  }
  give(stored.slice(numbered), false);
  posted.forEach(take);
  for (let n = 0; n < 3; n++) {
    watching(() => numbers.told(last));
    wait();
    read();
  }
  return { stored, delivered, phase: numbers.phase, reads, gaps };
}

const ordered = (n: number) => ulid(1_000_000 + n);
/** Returns ids whose order differs from stored order, as for messages that are stored at nearly the same time. */
const disordered = (n: number) => ulid(1_000_000 + (n ^ 3));

describe('a client that receives arbitrary frames', () => {
  const steps = fc.array(step, { maxLength: 150, size: 'max' });

  test('has every message once, in stored order', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const { stored, delivered, phase } = play(all, ordered);
        expect(delivered).toEqual(stored);
        expect(phase).toBe('in_step');
      }),
      { numRuns: 500 },
    );
  });

  test('has every message once if the order of ids differs from stored order', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const { stored, delivered } = play(all, disordered);
        const ids = (messages: readonly Message[]) => messages.map(({ message_id }) => message_id).sort();
        expect(ids(delivered)).toEqual(ids(stored));
      }),
      { numRuns: 500 },
    );
  });

  test('keeps the order of the feed as long as it misses nothing', () => {
    const whole = fc.array(
      step
        .map((one) => ({ ...one, isLost: false, which: 0 }))
        .filter(({ kind }) => !['skip_numbers', 'cut'].includes(kind)),
      { maxLength: 150, size: 'max' },
    );
    fc.assert(
      fc.property(whole, (all) => {
        // Without `wait` steps, a ping that overtakes a frame does not cause a read.
        const { stored, delivered } = play(all.filter(({ kind }) => kind !== 'wait') as Step[], disordered);
        expect(delivered).toEqual(stored);
      }),
      { numRuns: 300 },
    );
  });

  test('reads at most once for each gap', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const { reads, gaps } = play(all, ordered);
        expect(reads).toBeLessThanOrEqual(gaps);
      }),
      { numRuns: 500 },
    );
  });
});
