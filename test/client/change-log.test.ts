import * as fc from 'fast-check';
import { ulid } from 'ulid';
import { describe, expect, test } from 'vitest';
import { changeLog } from '../../client/src/change-log.ts';
import { readChanges } from '../../client/src/history.ts';
import { byId } from '../../client/src/message-dedup.ts';
import { messageLog } from '../../client/src/message-log.ts';
import { sequence } from '../../client/src/sequence.ts';
import type { Message } from '../../core/contract/answers.ts';
import { ANSWER_EXAMPLES } from '../../tools/generate/openapi-texts.ts';
import { seededRandom } from './faults.ts';

interface Version {
  readonly message_id: string;
  readonly change: number | null;
}

const version = (message_id: string, change: number | null): Version => ({ message_id, change });

describe('changeLog', () => {
  /** Returns a change log that has seen changes up to 4 and the messages `a` and `b`. */
  const started = () => {
    const log = changeLog<Version>((id) => id === 'a' || id === 'b');
    log.start(4);
    return log;
  };

  test('delivers each change once, in the order of their numbers', () => {
    const log = started();
    expect(log.take(version('a', 5))).toBe(true);
    expect(log.take(version('a', 5))).toBe(false);
    expect(log.take(version('b', 4))).toBe(false);
    expect(log.take(version('b', 8))).toBe(true);
    expect(log.position).toBe(8);
  });

  test('accepts any number as the first change if the service has not reported the last change', () => {
    const log = changeLog<Version>(() => true);
    expect(log.position).toBeNaN();
    expect(log.take(version('a', 7))).toBe(true);
    expect(log.take(version('a', 7))).toBe(false);
  });

  test('does not repeat a change that a message was delivered with', () => {
    const log = started();
    expect(log.admit(version('b', 6))).toEqual(version('b', 6));
    expect(log.take(version('a', 5))).toBe(true);
    expect(log.take(version('b', 6))).toBe(false);
    expect(log.take(version('b', 7))).toBe(true);
  });

  test('does not deliver an older change than that of the delivered message', () => {
    const log = started();
    log.admit(version('b', 6));
    expect(log.take(version('b', 5))).toBe(false);
    expect(log.take(version('b', 6))).toBe(false);
  });

  test('keeps the change of a message that is not delivered yet, and delivers the message with it', () => {
    const log = started();
    expect(log.take(version('c', 5))).toBe(false);
    expect(log.take(version('c', 6))).toBe(false);
    expect(log.admit(version('c', null))).toEqual(version('c', 6));
  });

  test('delivers a message in the read version if that is newer than the change', () => {
    const log = started();
    log.take(version('c', 5));
    expect(log.admit(version('c', 9))).toEqual(version('c', 9));
  });

  test('continues from a lower number after the table was restored', () => {
    const log = started();
    log.take(version('a', 9));
    log.admit(version('b', 12));
    log.start(2);
    expect(log.take(version('b', 3))).toBe(true);
  });
});

describe('readChanges', () => {
  test('reads page by page after the last change, until the last page', async () => {
    const all = [3, 5, 6, 9].map((change) => ({ ...ANSWER_EXAMPLES.message, change }) as Message);
    // A page is empty if all its messages have changed again since. More pages can follow.
    const pages = [all.slice(0, 2), [], all.slice(2)];
    const queries: object[] = [];
    const read = await readChanges(
      async (query) => {
        queries.push(query);
        return {
          items: pages[queries.length - 1] ?? [],
          next_cursor: queries.length < 3 ? `c${queries.length}` : null,
        };
      },
      2,
      2,
    );
    expect(read).toEqual(all);
    expect(queries).toEqual([
      { after: 2, limit: 2 },
      { cursor: 'c1', limit: 2 },
      { cursor: 'c2', limit: 2 },
    ]);
  });
});

/*
 * Simulates the room on the server with a virtual clock. Messages are stored, edited and deleted. The stream delivers one event for each write,
 * in order, after a varying lag, and sometimes twice. The event of a change contains the message as it is when the event is sent.
 */

interface Write {
  readonly storedAt: number;
  readonly deliveredAt: number;
  /** When the event's content was read. */
  readonly readAt: number;
  readonly message_id: string;
  readonly change: number | null;
}

interface World {
  readonly seed: number;
  readonly writes: number;
  readonly maxLag: number;
  readonly cuts: number;
  /** Fraction of the live events that are lost. */
  readonly loss: number;
}

const worlds = fc.record<World>({
  seed: fc.nat(2 ** 31 - 1),
  writes: fc.integer({ min: 1, max: 80 }),
  maxLag: fc.constantFrom(0, 5, 50, 1_000),
  cuts: fc.integer({ min: 0, max: 6 }),
  loss: fc.constantFrom(0, 0, 0.2),
});

const START = 1_000_000;
const LENGTH = 1_000;

function play({ seed, writes, maxLag }: World): Write[] {
  const random = seededRandom(seed);
  const times = Array.from({ length: writes }, () => START + Math.floor(random() * LENGTH)).sort((a, b) => a - b);
  const ids: string[] = [];
  let last = 0;
  let lag = random() * maxLag;
  let deliveredAt = 0;
  return times.map((storedAt) => {
    const id = random() < 0.5 ? ids[Math.floor(random() * ids.length)] : undefined;
    if (random() < 0.3) lag = random() * maxLag;
    deliveredAt = Math.max(deliveredAt, storedAt + lag);
    const write = {
      storedAt,
      deliveredAt,
      readAt: storedAt + random() * (deliveredAt - storedAt),
      message_id: id ?? ulid(storedAt),
      change: id ? ++last : null,
    };
    if (!id) ids.push(write.message_id);
    return write;
  });
}

/** Returns all messages as they are at the time `now`. */
function at(writes: readonly Write[], now: number): Map<string, Version> {
  const messages = new Map<string, Version>();
  for (const { storedAt, message_id, change } of writes)
    if (storedAt <= now) messages.set(message_id, version(message_id, change));
  return messages;
}

interface Delivered {
  readonly kind: 'message' | 'change';
  readonly version: Version;
}

/** Combines the parts of a reader as room.ts does, and returns everything that the reader delivers. */
function read(world: World, writes: readonly Write[], joinedAt: number): Delivered[] {
  const random = seededRandom(world.seed ^ 0x5eed);
  const moment = (from: number, upTo: number) => from + random() * Math.max(0, upTo - from);
  const log = messageLog<Version>(10);
  const changes = changeLog<Version>(log.has);
  const numbers = sequence<Version>();
  /** Sequence numbers of the frames: one for each write, in stream order. */
  const stream = sequence<Write>();
  const delivered: Delivered[] = [];
  const deliverMessages = (messages: readonly Version[]) => {
    for (const message of messages) delivered.push({ kind: 'message', version: changes.admit(message) });
  };
  const deliverChanges = (changed: readonly Version[]) => {
    for (const message of changed) if (changes.take(message)) delivered.push({ kind: 'change', version: message });
  };
  const historyAt = (now: number) => {
    const all = [...at(writes, now).values()].sort(byId);
    return all.filter(({ message_id }) => !log.isComplete(message_id));
  };
  const changedAt = (now: number) =>
    [...at(writes, now).values()]
      .filter(({ change }) => (change ?? 0) > changes.position)
      .sort((a, b) => Number(a.change) - Number(b.change));
  const release = (
    history: readonly Version[],
    changed: readonly Version[],
    from: number,
    streamed: Version[] = [],
  ) => {
    deliverMessages(log.catchUp(history, streamed));
    deliverChanges(changed);
    deliverChanges(numbers.start(Math.max(from, changes.position)));
  };
  const deliver = (all: readonly Write[]) => {
    for (const write of all) deliverOne(write);
  };
  const take = (write: Write) => deliver(stream.take(writes.indexOf(write) + 1, [write]));
  const fill = (now: number, last: number) => {
    stream.waited();
    const [history, changed] = [historyAt(now), changedAt(now)];
    const { covered, next } = stream.filled();
    const isNew = ({ change }: Write) => change === null;
    release(
      history,
      changed,
      last,
      covered.filter(isNew).map(({ message_id }) => version(message_id, null)),
    );
    deliver(covered.filter((write) => !isNew(write)));
    deliver(next);
  };
  const fillChanges = (now: number) => {
    numbers.waited();
    const changed = changedAt(now);
    const { covered, next } = numbers.filled();
    for (const some of [changed, covered, next]) deliverChanges(some);
  };
  const deliverOne = (write: Write) => {
    if (write.change === null) return deliverMessages(log.receive(version(write.message_id, null)));
    // The event contains the current message, which can include a later change.
    const present = at(writes, write.readAt).get(write.message_id) ?? version(write.message_id, write.change);
    deliverChanges(numbers.take(present.change ?? 0, [present]));
  };

  log.skip([...at(writes, joinedAt).values()]);
  const end = Math.max(START + LENGTH, ...writes.map(({ deliveredAt }) => deliveredAt)) + 1;
  let now = joinedAt;
  for (let socket = 0; socket <= world.cuts; socket++) {
    log.hold();
    numbers.lost();
    stream.lost();
    const joinedSeq = writes.filter(({ deliveredAt }) => deliveredAt <= now).length;
    const isLast = socket === world.cuts;
    const lostAt = isLast ? end : moment(now, end);
    const last = Math.max(0, ...[...at(writes, now).values()].map(({ change }) => change ?? 0));
    if (Number.isNaN(changes.position)) changes.start(last);
    const needsChanges = last > changes.position;
    const [historyReadAt, changesReadAt] = [moment(now, now + 30), moment(now, now + 30)];
    const readyAt = Math.min(Math.max(historyReadAt, changesReadAt), lostAt);
    const events = writes.filter(({ deliveredAt }) => deliveredAt > now && deliveredAt <= lostAt);
    for (const event of events) if (event.deliveredAt <= readyAt) take(event);
    if (!isLast && random() < 0.2) {
      now = lostAt;
      continue;
    }
    release(historyAt(historyReadAt), needsChanges ? changedAt(changesReadAt) : [], last);
    deliver(stream.start(joinedSeq));
    for (const event of events.filter(({ deliveredAt }) => deliveredAt > readyAt)) {
      if (random() < world.loss) continue;
      take(event);
      if (random() < 0.1) take(event);
      if (random() < 0.5) continue;
      // After a gap in the frame numbers, the reader reads messages and changes. After a gap in the change numbers, only changes.
      if (stream.phase === 'gap') fill(event.deliveredAt, last);
      else if (numbers.phase === 'gap') fillChanges(event.deliveredAt);
    }
    // A ping reveals all events that are still missing.
    if (isLast) {
      stream.told(writes.length);
      fill(end, last);
    }
    now = lostAt;
  }
  return delivered;
}

describe('the edits and deletions of a room', () => {
  test('are applied once and in order, through any lag, any disconnects and any losses', () =>
    fc.assert(
      fc.property(worlds, fc.nat(LENGTH), (world, offset) => {
        const writes = play(world);
        const joinedAt = START + offset;
        const delivered = read(world, writes, joinedAt);
        const [before, final] = [at(writes, joinedAt), at(writes, Number.POSITIVE_INFINITY)];
        const shown = new Map<string, Version>(before);
        for (const { kind, version } of delivered) {
          // A message is delivered once, and before its changes.
          expect(shown.has(version.message_id)).toBe(kind === 'change');
          // Each delivered version is newer than the one before.
          if (kind === 'change') expect(version.change).toBeGreaterThan(shown.get(version.message_id)?.change ?? 0);
          shown.set(version.message_id, version);
        }
        expect(shown).toEqual(final);
        const numbers = delivered.flatMap(({ kind, version }) => (kind === 'change' ? [Number(version.change)] : []));
        expect(numbers).toEqual([...new Set(numbers)].toSorted((a, b) => a - b));
      }),
      { numRuns: 500 },
    ));
});
