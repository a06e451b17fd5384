import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MAX_FRAMES_PER_WINDOW, MAX_USER_FRAMES_PER_WINDOW } from '../../core/contract/limits.ts';
import { windowAt } from '../../core/store/connections.ts';
import { framesKey, type Key } from '../../core/store/keys.ts';
import { get } from '../../core/store/read.ts';
import { deliver } from '../support/delivery.ts';
import { data } from '../support/invoke.ts';
import { type Management, startManagement } from '../support/management.ts';
import { invokeAction, joined, type Socket } from '../support/socket.ts';
import { recorded } from '../support/stream.ts';
import { at, newRoom, newUser } from '../support/world.ts';

let management: Management;
beforeAll(async () => {
  management = await startManagement();
  process.env.CALLBACK_URL = management.url;
});
afterAll(() => management.close());

/** The start of a 10-second window in which frames are counted. */
const WINDOW = Math.ceil(Date.now() / 10_000) * 10_000;

const send = (socket: Socket, room_id: string, text: string) =>
  invokeAction('message', socket, { room_id, client_message_id: randomUUID(), text });
const textsAt = ({ connection_id }: Socket): unknown[] =>
  management.received(connection_id).map((event) => event.data.text);

test('accepts 300 frames of an attacker with 5 connections; all messages of others arrive', async () => {
  const [attacker, ...others] = [newUser('attacker'), newUser('a'), newUser('b')];
  const shared = await newRoom({ members: [attacker, ...others] });
  const elsewhere = await newRoom({ members: others });
  const attacking = await Promise.all(Array.from({ length: 5 }, () => joined(shared.room_id, attacker)));
  const here = await Promise.all(others.map((user) => joined(shared.room_id, user)));
  const there = await Promise.all(others.map((user) => joined(elsewhere.room_id, user)));

  const accepted: string[] = [];
  const attacks = { accepted: 0, refused: 0 };
  const honest = { accepted: 0, refused: 0 };
  const attack = async (socket: Socket, n: number): Promise<void> => {
    const text = `attack ${n}`;
    // Most frames are pings: they are the cheapest for the service, and count as much as any frame.
    const answer = await (n % 10 === 0 ? send(socket, shared.room_id, text) : invokeAction('ping', socket, {}));
    if (answer.ok) attacks.accepted++;
    else {
      attacks.refused++;
      expect(answer).toMatchObject({ code: 'too_many_requests', retry_after: 10 });
    }
    if (answer.ok && n % 10 === 0) accepted.push(text);
  };
  const work = async (n: number): Promise<void> => {
    const answers = await Promise.all([
      ...here.map((socket, who) => send(socket, shared.room_id, `here ${who} ${n}`)),
      ...there.map((socket, who) => send(socket, elsewhere.room_id, `there ${who} ${n}`)),
    ]);
    for (const { ok } of answers) honest[ok ? 'accepted' : 'refused']++;
  };

  const records = await recorded(() =>
    at(WINDOW, async () => {
      for (let n = 0; n < MAX_FRAMES_PER_WINDOW; n++)
        await Promise.all([
          ...attacking.map((socket, who) => attack(socket, n * attacking.length + who)),
          ...(n % 10 === 0 ? [work(n)] : []),
        ]);
    }),
  );
  const counted = await get<Key & { readonly frames: number }>(
    framesKey(attacker, windowAt(new Date(WINDOW).toISOString())),
  );
  expect(counted?.frames).toBe(MAX_USER_FRAMES_PER_WINDOW);
  // The SDK repeats a count whose response is late, and such a frame counts twice.
  expect(attacks.accepted).toBeLessThanOrEqual(MAX_USER_FRAMES_PER_WINDOW);
  expect(attacks.accepted).toBeGreaterThan(0.9 * MAX_USER_FRAMES_PER_WINDOW);
  expect(attacks.accepted + attacks.refused).toBe(attacking.length * MAX_FRAMES_PER_WINDOW);
  expect(honest).toEqual({ accepted: 40, refused: 0 });

  expect((await deliver(records)).failures).toEqual([]);
  const texts = (place: string): string[] =>
    [0, 1].flatMap((who) => Array.from({ length: 10 }, (_, n) => `${place} ${who} ${n * 10}`));
  for (const socket of here) expect(textsAt(socket).toSorted()).toEqual([...texts('here'), ...accepted].toSorted());
  for (const socket of there) expect(textsAt(socket).toSorted()).toEqual(texts('there').toSorted());
  const history = await data('listMessages', {
    as: shared.admin,
    params: { room_id: shared.room_id },
    query: { limit: 200 },
  });
  expect(history).toHaveLength(20 + accepted.length);
});
