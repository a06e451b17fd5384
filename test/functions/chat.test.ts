import { beforeAll, describe, expect, test } from 'vitest';
import { appendMessage } from '../../core/store/messages.ts';
import { messageDefaults } from '../support/defaults.ts';
import { data, refused, succeed } from '../support/invoke.ts';
import { at, newRoom, snapshot, type World } from '../support/world.ts';

const now = (): string => new Date().toISOString();

/** Reads every message of a room, page by page. Returns the messages and the size of each page. */
async function history(world: World, query: { limit: number; order?: 'asc' | 'desc' }, from?: string) {
  const ids: string[] = [];
  const pages: number[] = [];
  let cursor = from;
  do {
    const { data: messages, page } = await succeed('listMessages', {
      as: world.member,
      params: { room_id: world.room_id },
      query: { ...query, ...(cursor && { cursor }) },
    });
    ids.push(...messages.map(({ message_id }) => message_id));
    pages.push(messages.length);
    cursor = page?.next_cursor ?? undefined;
  } while (cursor);
  return { ids, pages };
}

describe('a chat of 600 messages', () => {
  const COUNT = 600;
  let world: World;
  /** IDs of the messages, in the order in which they were sent. */
  const sent: string[] = [];

  beforeAll(async () => {
    world = await newRoom();
    const { room_id, admin, member } = world;
    const start = Date.now() - 3_600_000;
    for (let n = 0; n < COUNT; n += 10) {
      const batch = await Promise.all(
        Array.from({ length: 10 }, (_, k) =>
          appendMessage({
            room_id,
            sender_id: k % 2 ? admin : member,
            client_message_id: `m${n + k}`,
            text: `Message ${n + k}`,
            // Each group of 10 messages has the same time.
            now: new Date(start + Math.floor((n + k) / 10) * 1_000).toISOString(),
          }),
        ),
      );
      sent.push(...batch.map(({ message_id }) => message_id));
    }
  });

  test.each([7, 50, 199, 200])(
    'is read in pages of %i in both orders, without gaps, duplicates or disorder',
    async (limit) => {
      const up = await history(world, { limit, order: 'asc' });
      expect(up.ids).toEqual(sent);
      expect(up.pages).toHaveLength(Math.ceil(COUNT / limit));
      expect((await history(world, { limit, order: 'desc' })).ids).toEqual([...sent].reverse());
    },
  );

  test('returns the newest 50 first by default', async () => {
    const { data: messages, page } = await succeed('listMessages', {
      as: world.member,
      params: { room_id: world.room_id },
    });
    expect(messages.map(({ message_id }) => message_id)).toEqual(sent.slice(-50).reverse());
    expect(page?.size).toBe(50);
    expect(messages[0]).toEqual({
      ...messageDefaults,
      message_id: sent.at(-1),
      room_id: world.room_id,
      sender_id: world.admin,
      client_message_id: `m${COUNT - 1}`,
      text: `Message ${COUNT - 1}`,
      sent_at: expect.any(String),
    });
  });

  test('continues from a cursor in either order', async () => {
    const request = { as: world.member, params: { room_id: world.room_id } };
    const { page } = await succeed('listMessages', { ...request, query: { limit: 100, order: 'asc' } });
    const cursor = page?.next_cursor ?? '';
    const on = await data('listMessages', { ...request, query: { limit: 5, order: 'asc', cursor } });
    expect(on.map(({ message_id }) => message_id)).toEqual(sent.slice(100, 105));
    const back = await history(world, { limit: 50, order: 'desc' }, cursor);
    expect(back.ids).toEqual(sent.slice(0, 99).reverse());
    expect(back.pages).toEqual([50, 49]);
  });

  test('messages that arrive between pages do not shift the pages', async () => {
    const fresh = await newRoom();
    const { room_id, member } = fresh;
    const say = (n: number) =>
      appendMessage({ room_id, sender_id: member, client_message_id: `n${n}`, text: 'x', now: now() });
    const first: string[] = [];
    for (let n = 0; n < 20; n++) first.push((await say(n)).message_id);
    const request = { as: member, params: { room_id } };
    const { data: newest, page } = await succeed('listMessages', { ...request, query: { limit: 10 } });
    for (let n = 20; n < 30; n++) await say(n);
    const older = await history(fresh, { limit: 10 }, page?.next_cursor ?? '');
    expect([...newest.map(({ message_id }) => message_id), ...older.ids]).toEqual([...first].reverse());
  });
});

test('pages that DynamoDB cuts at 1 MB join without a gap', async () => {
  const world = await newRoom();
  const { room_id, admin } = world;
  const sent: string[] = [];
  // 8,000 characters of 3 bytes each. 1 MB holds 43 such messages, so a page of 200 is cut, and a page of 30 is not.
  for (let n = 0; n < 130; n++)
    sent.push(
      (
        await appendMessage({
          room_id,
          sender_id: admin,
          client_message_id: `big${n}`,
          text: '語'.repeat(8_000),
          now: now(),
        })
      ).message_id,
    );
  for (const order of ['asc', 'desc'] as const) {
    const { ids, pages } = await history(world, { limit: 200, order });
    expect(ids).toEqual(order === 'asc' ? sent : [...sent].reverse());
    expect(pages.length).toBeGreaterThan(2);
    expect(Math.max(...pages)).toBeLessThan(60);
  }
  expect((await history(world, { limit: 30 })).pages).toEqual([30, 30, 30, 30, 10]);
});

describe('sending a message again', () => {
  test('ten times at once stores one message', async () => {
    const world = await newRoom();
    const { room_id, member } = world;
    const message = { room_id, sender_id: member, client_message_id: 'same', text: 'once', now: now() };
    const answers = await Promise.all(Array.from({ length: 10 }, () => appendMessage(message)));
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect((await history(world, { limit: 200 })).ids).toEqual([answers[0]?.message_id]);
  });

  test('later returns the first message, or a conflict if the text differs', async () => {
    const { room_id, member } = await newRoom();
    const message = { room_id, sender_id: member, client_message_id: 'a', text: 'first', now: now() };
    const first = await appendMessage(message);
    const before = await snapshot();
    const later = { ...message, now: new Date(Date.now() + 60_000).toISOString() };
    expect(await appendMessage(later)).toEqual(first);
    await expect(appendMessage({ ...later, text: 'second' })).rejects.toMatchObject({ code: 'idempotency_conflict' });
    expect(await snapshot()).toEqual(before);
  });

  test('stores another message for another sender, in another room, and after a day', async () => {
    const world = await newRoom();
    const other = await newRoom();
    const message = { room_id: world.room_id, sender_id: world.member, client_message_id: 'a', text: 'x', now: now() };
    const ids = [
      await appendMessage(message),
      await appendMessage({ ...message, sender_id: world.admin }),
      await appendMessage({ ...message, room_id: other.room_id }),
      await appendMessage({ ...message, now: new Date(Date.now() + 24 * 3_600_000 + 1_000).toISOString() }),
    ].map(({ message_id }) => message_id);
    expect(new Set(ids).size).toBe(4);
    expect((await history(world, { limit: 10 })).ids).toHaveLength(3);
    expect((await history(other, { limit: 10 })).ids).toHaveLength(1);
  });
});

test('messages of the same millisecond are all stored in the order in which they were sent', async () => {
  const world = await newRoom();
  const { room_id, member } = world;
  const moment = now();
  const sent: string[] = [];
  for (let n = 0; n < 100; n++)
    sent.push(
      (await appendMessage({ room_id, sender_id: member, client_message_id: `t${n}`, text: `${n}`, now: moment }))
        .message_id,
    );
  expect((await history(world, { limit: 9, order: 'asc' })).ids).toEqual(sent);
});

test('a participant who was added later reads earlier messages', async () => {
  const { room_id, admin, outsider } = await newRoom();
  await appendMessage({ room_id, sender_id: admin, client_message_id: 'a', text: 'early', now: now() });
  await data('addParticipants', { as: admin, params: { room_id }, body: { participant_ids: [outsider] } });
  expect(await data('listMessages', { as: outsider, params: { room_id } })).toMatchObject([{ text: 'early' }]);
});

test('a room without messages returns an empty last page', async () => {
  const { room_id, member } = await newRoom();
  expect(await succeed('listMessages', { as: member, params: { room_id } })).toMatchObject({
    data: [],
    page: { size: 0, next_cursor: null },
  });
});

test.each([
  ['order', { order: 'up' }],
  ['order', { order: 'ASC' }],
  ['limit', { limit: 0 }],
  ['limit', { limit: 201 }],
  ['limit', { limit: '1e2' }],
])('rejects a bad %s: %j', async (path, query) => {
  const { room_id, member } = await newRoom();
  expect(await refused('listMessages', { as: member, params: { room_id }, query })).toMatchObject({
    code: 'invalid_request',
    errors: [{ path }],
  });
});

test('the time of a message is the time of its request', async () => {
  const { room_id, member } = await newRoom();
  const moment = Date.now() - 5_000;
  await at(moment, () => appendMessage({ room_id, sender_id: member, client_message_id: 'a', text: 'x', now: now() }));
  const [message] = await data('listMessages', { as: member, params: { room_id } });
  expect(message?.sent_at).toBe(new Date(moment).toISOString());
});
