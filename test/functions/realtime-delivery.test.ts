import type { DynamoDBRecord } from 'aws-lambda';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ParticipantItem } from '../../core/store/items.ts';
import { connectionKey, participantKey } from '../../core/store/keys.ts';
import { get } from '../../core/store/read.ts';
import { deliver, send } from '../support/delivery.ts';
import { data } from '../support/invoke.ts';
import { watchSockets } from '../support/known-sockets.ts';
import { type Management, startManagement } from '../support/management.ts';
import { type Services, startServices } from '../support/services.ts';
import { joined, reply, type Socket } from '../support/socket.ts';
import { messagesIn } from '../support/stream.ts';
import { newRoom, newUser } from '../support/world.ts';

let management: Management;
let services: Services;
beforeAll(async () => {
  [management, services] = await Promise.all([startManagement({ answerAfter: 5 }), startServices()]);
  process.env.CALLBACK_URL = management.url;
});
beforeEach(() => {
  management.reset();
  services.reset();
});
const known = watchSockets(() => management);
afterEach(() => known.check());
afterAll(() => Promise.all([management.close(), services.close()]));

/** A room with an admin, the sender, and with `count` members, each with one connection. */
async function roomOf(count: number) {
  const members = Array.from({ length: count }, (_, n) => newUser(`m${n}`));
  const { room_id, admin } = await newRoom({ members });
  const sockets: Socket[] = [];
  for (const member of members) sockets.push(await joined(room_id, member));
  return { room_id, admin, members, sockets };
}

const textsAt = ({ connection_id }: Socket) => management.received(connection_id).map(({ data }) => data.text);
const isJoined = async (room_id: string, { connection_id }: Socket) =>
  (await get(connectionKey(room_id, connection_id))) !== undefined;
const connectionsOf = async (room_id: string, user_id: string) =>
  (await get<ParticipantItem>(participantKey(room_id, user_id)))?.connections;

const [first, second, third] = ['one', 'two', 'three'] as const;
const ALL = [first, second, third];

describe('messages', () => {
  test('reach every joined connection once, in stored order, as in the history', async () => {
    const { room_id, admin, sockets } = await roomOf(3);
    const own = await joined(room_id, admin);
    const tab = await joined(room_id, sockets[0]?.user_id ?? '');
    const elsewhere = await roomOf(2);
    const gone = await joined(room_id, admin);
    known.left(gone.connection_id);
    await reply('leave', gone, { room_id });
    expect(await deliver(await send(room_id, admin, ...ALL))).toMatchObject({ failures: [] });

    const history = await data('listMessages', { as: admin, params: { room_id }, query: { order: 'asc' } });
    expect(history).toHaveLength(3);
    for (const socket of [...sockets, own, tab]) {
      const events = management.received(socket.connection_id);
      expect(events.map((event) => event.data)).toEqual(history);
      for (const event of events)
        expect(event).toMatchObject({ type: 'message', room_id, sent_at: expect.any(String) });
    }
    for (const socket of [gone, ...elsewhere.sockets]) expect(textsAt(socket)).toEqual([]);
    expect(management.closed).toEqual([]);
  });

  test('of many rooms are delivered in one batch', async () => {
    const rooms = await Promise.all(Array.from({ length: 5 }, () => roomOf(2)));
    const records: DynamoDBRecord[] = [];
    for (const { room_id, admin } of rooms) records.push(...(await send(room_id, admin, room_id)));
    expect(await deliver(records)).toMatchObject({ failures: [] });
    for (const { room_id, sockets } of rooms) for (const socket of sockets) expect(textsAt(socket)).toEqual([room_id]);
  });

  test('to no connection are not a failure', async () => {
    const { room_id, admin } = await roomOf(0);
    expect(await deliver(await send(room_id, admin, first))).toMatchObject({ failures: [] });
    expect(await deliver([])).toMatchObject({ failures: [], lines: [], trace: { requests: [] } });
  });

  test('are never logged', async () => {
    const { room_id, admin } = await roomOf(1);
    const { lines } = await deliver(await send(room_id, admin, 'a secret between us'));
    expect(lines).toHaveLength(1);
    expect(JSON.stringify(lines)).not.toContain('secret');
  });
});

describe('a connection', () => {
  test('that is gone (410) is removed from its room and participant, and does not affect the others', async () => {
    const { room_id, admin, members, sockets } = await roomOf(3);
    const [, dead] = sockets;
    if (!dead) throw new Error('there are three');
    management.respondWith(dead.connection_id, 410);
    expect(await deliver(await send(room_id, admin, ...ALL))).toMatchObject({ failures: [] });
    expect(sockets.map(textsAt)).toEqual([ALL, [], ALL]);
    expect(management.attempts.filter((id) => id === dead.connection_id)).toHaveLength(1);
    expect(await isJoined(room_id, dead)).toBe(false);
    expect(await connectionsOf(room_id, members[1] ?? '')).toBeUndefined();
    expect(management.closed).toEqual([]);
    // No later delivery tries the connection again.
    await deliver(await send(room_id, admin, 'more'));
    expect(management.attempts.filter((id) => id === dead.connection_id)).toHaveLength(1);
  });

  test.each<
    [string, ...(Parameters<Management['respondWith']> extends [string, ...infer Responses] ? Responses : never)]
  >([
    ['is throttled (429)', 429, 429, 200],
    ['is throttled for a second (429)', 429, 429, 429, 429, 429, 429, 200],
    ['gets an error of the gateway (500)', 500, 200],
    ['uses a socket that the gateway closes, as it does with idle sockets', 'reset', 200],
    ['has all of these failures', 500, 'reset', 429, 200],
  ])('that %s is retried, receives everything in order, and does not affect the others', async (_, ...responses) => {
    const { room_id, admin, sockets } = await roomOf(3);
    management.respondWith(sockets[1]?.connection_id ?? '', ...responses);
    expect(await deliver(await send(room_id, admin, ...ALL))).toMatchObject({ failures: [] });
    expect(sockets.map(textsAt)).toEqual([ALL, ALL, ALL]);
    expect(management.closed).toEqual([]);
    for (const socket of sockets) expect(await isJoined(room_id, socket)).toBe(true);
  });

  test.each([429, 500, 'reset', 'hold'] as const)(
    'to which all posts fail (%s) is closed, so that its client reconnects and catches up; the others do not wait',
    async (response) => {
      const { room_id, admin, members, sockets } = await roomOf(12);
      const [bad, ...good] = sockets;
      if (!bad) throw new Error('there are twelve');
      management.respondWith(bad.connection_id, response);
      const order: string[] = [];
      management.onRequest = (connection_id) => order.push(connection_id);
      expect(await deliver(await send(room_id, admin, first, second))).toMatchObject({ failures: [] });

      for (const socket of good) expect(textsAt(socket)).toEqual([first, second]);
      // After a failed post, the connection receives no later message: the client could not notice the gap.
      expect(textsAt(bad)).toEqual([]);
      expect(management.closed).toEqual([bad.connection_id]);
      // The other connections do not wait for the one that does not respond.
      if (response === 'hold') expect(order.at(-1)).toBe(bad.connection_id);
      expect(await isJoined(room_id, bad)).toBe(false);
      expect(await connectionsOf(room_id, members[0] ?? '')).toBeUndefined();
    },
  );

  test('whose token has expired receives nothing, and is closed', async () => {
    const { room_id, admin, members } = await roomOf(1);
    const soon = Math.floor(Date.now() / 1_000) + 1;
    const expired = await joined(room_id, members[0] ?? '', soon);
    const fresh = await joined(room_id, admin, soon + 3_600);
    const records = await send(room_id, admin, first);
    while (Date.now() / 1_000 <= soon) await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await deliver(records)).toMatchObject({ failures: [] });
    expect(textsAt(fresh)).toEqual([first]);
    expect(management.attempts).not.toContain(expired.connection_id);
    expect(management.closed).toEqual([expired.connection_id]);
    expect(await isJoined(room_id, expired)).toBe(false);
  });
});

describe('a record that cannot be processed', () => {
  /** A record whose image has an attribute of an unknown type. */
  const poisoned = (record: DynamoDBRecord): DynamoDBRecord => ({
    ...record,
    dynamodb: { ...record.dynamodb, NewImage: { ...record.dynamodb?.NewImage, text: { X: 'poison' } as never } },
  });
  const sequence = (record: DynamoDBRecord | undefined) => record?.dynamodb?.SequenceNumber;

  test('is reported; earlier records and other rooms are delivered, and not again on the retry', async () => {
    const [failing, working] = [await roomOf(2), await roomOf(2)];
    const [one, two, three] = await send(failing.room_id, failing.admin, ...ALL).then((all) => messagesIn(all).Records);
    const others = messagesIn(await send(working.room_id, working.admin, ...ALL)).Records;
    if (!one || !two || !three) throw new Error('there are three');
    const batch = [one, poisoned(two), ...others, three];

    const { failures, lines } = await deliver(batch);
    expect(failures).toEqual([sequence(two)]);
    expect(lines.filter(({ level }) => level === 'error')).toHaveLength(1);
    for (const socket of failing.sockets) expect(textsAt(socket)).toEqual([first]);
    for (const socket of working.sockets) expect(textsAt(socket)).toEqual(ALL);

    // Lambda retries from the lowest reported sequence number.
    expect((await deliver(batch.slice(1))).failures).toEqual([sequence(two)]);
    for (const socket of failing.sockets) expect(textsAt(socket)).toEqual([first]);
    for (const socket of working.sockets) expect(textsAt(socket)).toEqual(ALL);

    // At the end of its retries, Lambda writes the record to the dead-letter queue and continues with the next one.
    expect((await deliver(batch.slice(2))).failures).toEqual([]);
    for (const socket of failing.sockets) expect(textsAt(socket)).toEqual([first, third]);
    for (const socket of working.sockets) expect(textsAt(socket)).toEqual(ALL);
  });
});
