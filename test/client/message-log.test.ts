import * as fc from 'fast-check';
import { ulid } from 'ulid';
import { describe, expect, test } from 'vitest';
import { type ReadPage, readFirst, readMissed } from '../../client/src/history.ts';
import type { Message } from '../../client/src/index.ts';
import { byId, messageDedup, timeOf } from '../../client/src/message-dedup.ts';
import { type MessageLog, messageLog } from '../../client/src/message-log.ts';
import { ANSWER_EXAMPLES } from '../../tools/generate/openapi-texts.ts';
import { seededRandom } from './faults.ts';

/** All times that a ULID can contain, except 0: the library replaces 0 by the current time. */
const millis = fc.integer({ min: 1, max: 2 ** 48 - 1 });

describe('message ids', () => {
  test('contain the time of their creation', () => {
    fc.assert(fc.property(millis, (time) => timeOf(ulid(time)) === time));
  });

  test('sort by time', () => {
    const times = fc.array(millis, { minLength: 2 });
    fc.assert(
      fc.property(times, (all) => {
        const sorted = all.map((time) => ({ message_id: ulid(time) })).sort(byId);
        return sorted.every(({ message_id }, i) => timeOf(message_id) >= timeOf(sorted[i - 1]?.message_id ?? '0'));
      }),
    );
  });
});

describe('messageDedup', () => {
  test('contains every id that was added, after any number of compactions', () => {
    const dedup = messageDedup();
    const ids = Array.from({ length: 22_000 }, (_, n) => ulid(1_000_000 + n));
    for (const id of ids) {
      expect(dedup.add(id)).toBe(true);
      dedup.compact(timeOf(id) - 1_000);
    }
    expect(ids.filter((id) => dedup.add(id))).toEqual([]);
  });

  test('accepts a late id as new until 5,000 newer ids have been compacted', () => {
    const dedup = messageDedup();
    const late = ulid(1_000_000 + 17_000);
    for (let n = 0; n < 20_000; n++) if (n !== 17_000) dedup.add(ulid(1_000_000 + n));
    dedup.compact(Number.POSITIVE_INFINITY);
    expect(dedup.add(late)).toBe(true);
    expect(dedup.has(ulid(1_000_000 + 10))).toBe(true);
  });

  test('never compacts ids that are newer than the given time', () => {
    const dedup = messageDedup();
    for (let n = 0; n < 20_000; n++) dedup.add(ulid(1_000_000 + n));
    dedup.compact(1_000_000);
    expect(dedup.add(ulid(1_000_000 + 50))).toBe(true);
  });
});

/*
 * Simulates the room on the server with a virtual clock. Messages are stored some time after the time in their ids. The stream delivers
 * them in stored order, after a varying lag, and sometimes twice.
 */

interface Stored {
  readonly message: Message;
  readonly storedAt: number;
  readonly deliveredAt: number;
}

interface World {
  readonly seed: number;
  readonly messages: number;
  readonly overlapMs: number;
  readonly maxLagMs: number;
  readonly cuts: number;
}

const worlds = fc.record<World>({
  seed: fc.nat(2 ** 31 - 1),
  messages: fc.integer({ min: 0, max: 60 }),
  overlapMs: fc.constantFrom(0, 50, 1_000),
  // The lag can exceed the overlap many times.
  maxLagMs: fc.constantFrom(0, 20, 500, 60_000),
  cuts: fc.integer({ min: 0, max: 8 }),
});

const START = 1_000_000;
const LENGTH = 10_000;

function play({ seed, messages, overlapMs, maxLagMs }: World): Stored[] {
  const random = seededRandom(seed);
  const all = Array.from({ length: messages }, () => {
    const time = START + Math.floor(random() * LENGTH);
    // The delay is less than the overlap, as the service guarantees. Without an overlap, messages are stored in the order of their ids.
    const storedAt = time + Math.floor(random() * overlapMs);
    return { message: { ...ANSWER_EXAMPLES.message, message_id: ulid(time) } as Message, storedAt };
  });
  const inOrder = all.sort((a, b) => a.storedAt - b.storedAt || byId(a.message, b.message));
  let lag = random() * maxLagMs;
  let last = 0;
  return inOrder.map(({ message, storedAt }) => {
    if (random() < 0.3) lag = random() * maxLagMs;
    last = Math.max(last, storedAt + lag);
    return { message, storedAt, deliveredAt: last };
  });
}

/** Returns the history as it is at the time `now`, in pages of three. */
const pagesAt =
  (world: readonly Stored[], now: number): ReadPage =>
  async (_, cursor) => {
    const items = world
      .filter(({ storedAt }) => storedAt <= now)
      .map(({ message }) => message)
      .sort(byId)
      .reverse();
    const start = cursor ? items.findIndex(({ message_id }) => message_id === cursor) + 1 : 0;
    const page = items.slice(start, start + 3);
    return { items: page, next_cursor: start + 3 < items.length ? (page.at(-1)?.message_id ?? null) : null };
  };

interface Reader {
  readonly joinedAt: number;
  readonly options: { readonly history: number; readonly known: readonly Message[] | undefined };
}

/** Joins at `joinedAt`, loses its socket several times, and returns the delivered ids after all messages have arrived. */
async function read(world: World, stored: readonly Stored[], { joinedAt, options }: Reader): Promise<string[]> {
  const random = seededRandom(world.seed ^ 0x5eed);
  const log: MessageLog<Message> = messageLog(world.overlapMs);
  const delivered: string[] = [];
  const deliver = (all: readonly Message[]) => delivered.push(...all.map(({ message_id }) => message_id));
  const end = Math.max(START + LENGTH, ...stored.map(({ deliveredAt }) => deliveredAt)) + 1;
  const moment = (from: number, upTo: number) => from + Math.floor(random() * Math.max(0, upTo - from));
  let isStarted = false;
  if (!options.history && !options.known) {
    const pages = pagesAt(stored, joinedAt);
    await readFirst(pages, 200, log, { ...options, overlapMs: world.overlapMs });
    isStarted = true;
  }
  let now = joinedAt;
  for (let socket = 0; socket <= world.cuts; socket++) {
    log.hold();
    const lostAt = socket === world.cuts ? end : moment(now, end);
    const readAt = Math.min(moment(now, now + 200), lostAt);
    const events = stored.filter(({ deliveredAt }) => deliveredAt > now && deliveredAt <= lostAt);
    // A socket receives everything that the stream delivers after the join, whenever it was stored.
    for (const { message } of events.filter(({ deliveredAt }) => deliveredAt <= readAt)) deliver(log.receive(message));
    // Some sockets are lost while history is being read.
    if (socket < world.cuts && random() < 0.3) {
      now = lostAt;
      continue;
    }
    const pages = pagesAt(stored, readAt);
    const missed = isStarted
      ? await readMissed(pages, 200, log)
      : await readFirst(pages, 200, log, { ...options, overlapMs: world.overlapMs });
    isStarted = true;
    deliver(log.catchUp(missed));
    const live = events.filter(({ deliveredAt }) => deliveredAt > readAt);
    for (const [n, { message }] of live.entries()) {
      deliver(log.receive(message));
      // The stream can redeliver the last part of a batch.
      if (random() < 0.1)
        for (const again of live.slice(Math.max(0, n - 3), n + 1)) deliver(log.receive(again.message));
      // The client reads history to find an own message that was acknowledged.
      const { deliveredAt } = live[n] ?? { deliveredAt: 0 };
      if (random() < 0.1) {
        log.hold();
        deliver(log.catchUp(await readMissed(pagesAt(stored, deliveredAt), 200, log)));
      }
    }
    now = lostAt;
  }
  return delivered;
}

const idsOf = (stored: readonly Stored[]) => stored.map(({ message }) => message.message_id).sort();

describe('messageLog', () => {
  test('delivers each message stored after the join once, for any lag and any disconnects', () =>
    fc.assert(
      fc.asyncProperty(worlds, fc.nat(LENGTH), async (world, offset) => {
        const stored = play(world);
        const joinedAt = START + offset;
        const delivered = await read(world, stored, { joinedAt, options: { history: 0, known: undefined } });
        expect(delivered.toSorted()).toEqual(idsOf(stored.filter(({ storedAt }) => storedAt > joinedAt)));
      }),
      { numRuns: 300 },
    ));

  test('delivers all messages once to a reader that knows none', () =>
    fc.assert(
      fc.asyncProperty(worlds, fc.nat(LENGTH), async (world, offset) => {
        const stored = play(world);
        const delivered = await read(world, stored, { joinedAt: START + offset, options: { history: 0, known: [] } });
        expect(delivered.toSorted()).toEqual(idsOf(stored));
      }),
      { numRuns: 200 },
    ));

  test('delivers each unknown message that is newer than the oldest known one once', () =>
    fc.assert(
      fc.asyncProperty(worlds, fc.nat(LENGTH), async (world, offset) => {
        const stored = play({ ...world, messages: world.messages + 1 });
        const joinedAt = START + offset;
        const before = stored.filter(({ storedAt }) => storedAt <= joinedAt);
        const random = seededRandom(world.seed);
        const known = before.filter(() => random() < 0.3).map(({ message }) => message);
        fc.pre(known.length > 0);
        const oldest = known.map(({ message_id }) => message_id).sort()[0] ?? '';
        // The first read is not interrupted. Otherwise, the set of expected messages would depend on the time of the second read.
        const uncut = { ...world, cuts: 0 };
        const delivered = await read(uncut, stored, { joinedAt, options: { history: 0, known } });
        const knownIds = new Set(known.map(({ message_id }) => message_id));
        const expected = idsOf(stored).filter((id) => id > oldest && !knownIds.has(id));
        expect(expected.filter((id) => !delivered.includes(id))).toEqual([]);
        expect(new Set(delivered).size).toBe(delivered.length);
        // Messages with older ids are delivered only if they were stored after the join.
        const late = new Set(idsOf(stored.filter(({ storedAt }) => storedAt > joinedAt)));
        expect(delivered.filter((id) => id <= oldest && !late.has(id))).toEqual([]);
      }),
      { numRuns: 300 },
    ));

  test('delivers the newest n messages first, and then everything that is stored later', () =>
    fc.assert(
      fc.asyncProperty(worlds, fc.nat(LENGTH), fc.integer({ min: 1, max: 10 }), async (world, offset, history) => {
        const stored = play({ ...world, cuts: 0 });
        const joinedAt = START + offset;
        const uncut = { ...world, cuts: 0 };
        const delivered = await read(uncut, stored, { joinedAt, options: { history, known: undefined } });
        const before = idsOf(stored.filter(({ storedAt }) => storedAt <= joinedAt));
        // The first read of history takes up to 200 ms after the join.
        const after = idsOf(stored.filter(({ storedAt }) => storedAt > joinedAt + 200));
        expect(new Set(delivered).size).toBe(delivered.length);
        expect(after.filter((id) => !delivered.includes(id))).toEqual([]);
        expect(delivered.filter((id) => before.includes(id)).length).toBeLessThanOrEqual(history);
      }),
      { numRuns: 300 },
    ));

  test('delivers live messages in stored order', () =>
    fc.assert(
      fc.asyncProperty(worlds, async (world) => {
        const stored = play(world);
        const joinedAt = START - 1;
        const options = { history: 0, known: undefined };
        const random = seededRandom(world.seed);
        const log: MessageLog<Message> = messageLog(world.overlapMs);
        await readFirst(pagesAt(stored, joinedAt), 200, log, { ...options, overlapMs: world.overlapMs });
        log.catchUp([]);
        const delivered: Message[] = [];
        for (const { message } of stored) {
          delivered.push(...log.receive(message));
          if (random() < 0.2) delivered.push(...log.receive(message));
        }
        expect(delivered).toEqual(stored.map(({ message }) => message));
      }),
    ));

  test('reads only the overlap if older messages are not requested', async () => {
    const log: MessageLog<Message> = messageLog(50);
    const stored = play({ seed: 1, messages: 60, overlapMs: 0, maxLagMs: 0, cuts: 0 });
    const pages = pagesAt(stored, START + LENGTH);
    const requests: (string | undefined)[] = [];
    const counted: ReadPage = (limit, cursor) => {
      requests.push(cursor);
      return pages(limit, cursor);
    };
    await readFirst(counted, 200, log, { history: 0, known: undefined, overlapMs: 50 });
    await readMissed(counted, 200, log);
    expect(requests).toEqual([undefined, undefined]);
  });

  test('reads back for the whole lag of the stream, not from the newest message that is known to be stored', async () => {
    const log: MessageLog<Message> = messageLog(30_000);
    const at = (time: number) => ({ ...ANSWER_EXAMPLES.message, message_id: ulid(time) }) as Message;
    const [first, others, own] = [at(START), at(START + 10_000), at(START + 100_000)];
    log.catchUp([first]);
    // `own` is acknowledged. The socket is lost before the stream delivers `own` or `others`.
    log.hold();
    expect(log.isComplete(others.message_id)).toBe(false);
    expect(log.catchUp([own, others])).toEqual([others, own]);
  });
});
