import { describe, expect, test } from 'vitest';
import { copiesOf } from '../support/fill.ts';
import { data, invoke, type Operation, type Request, succeed } from '../support/invoke.ts';
import { newRoom, newUser, type World } from '../support/world.ts';

const ROUNDS = 100;
/** How many rounds run at the same time, each with its own room. */
const ABREAST = 5;

/** Runs `round` ROUNDS times, each time with a copy of a room. */
async function rounds(original: World, round: (world: World, n: number) => Promise<void>): Promise<void> {
  const worlds = await copiesOf(original, ROUNDS);
  for (let n = 0; n < ROUNDS; n += ABREAST)
    await Promise.all(worlds.slice(n, n + ABREAST).map((world, k) => round(world, n + k)));
}

/** A room with two participants, both admins. */
async function twoAdmins(): Promise<World> {
  const world = await newRoom();
  const { room_id, admin, member } = world;
  await data('grantAdmin', { as: admin, params: { room_id, participant_id: member } });
  return world;
}

type Call = readonly [Operation, Request];
const revoke = (room_id: string, as: string, participant_id: string): Call => [
  'revokeAdmin',
  { as, params: { room_id, participant_id } },
];
const remove = (room_id: string, as: string, ...participant_ids: string[]): Call => [
  'removeParticipants',
  { as, params: { room_id }, body: { participant_ids } },
];

const leave = (room_id: string, as: string): Call => ['leaveRoom', { as, params: { room_id } }];

/** Sends two calls at the same moment, in alternating order. Returns the codes of the rejected ones. */
async function race(n: number, first: Call, second: Call): Promise<string[]> {
  const calls = n % 2 === 0 ? [first, second] : [second, first];
  const replies = await Promise.all(calls.map(([operation, request]) => invoke(operation, request)));
  return replies.flatMap((reply) => (reply.ok ? [] : [reply.code]));
}

/** Returns the admins of a room. Asks each candidate in turn, because some may have left the room. */
async function adminsOf(room_id: string, candidates: readonly string[]): Promise<string[]> {
  for (const as of candidates) {
    const reply = await invoke('listParticipants', { as, params: { room_id } });
    if (reply.ok) return reply.data.filter(({ is_admin }) => is_admin).map(({ participant_id }) => participant_id);
  }
  return [];
}

describe('if the only two admins act at the same time, exactly one succeeds and the room keeps an admin', () => {
  test.each<[string, (room_id: string, a: string, b: string) => readonly [Call, Call], readonly string[]]>([
    ['both revoke the right of the other', (r, a, b) => [revoke(r, a, b), revoke(r, b, a)], ['not_an_admin']],
    ['both revoke their own right', (r, a, b) => [revoke(r, a, a), revoke(r, b, b)], ['last_admin']],
    ['both remove each other', (r, a, b) => [remove(r, a, b), remove(r, b, a)], ['not_a_participant']],
    ['both remove themselves', (r, a, b) => [remove(r, a, a), remove(r, b, b)], ['last_admin']],
    [
      'one revokes the right of the other, who also revokes it',
      (r, a, b) => [revoke(r, a, b), revoke(r, b, b)],
      // Whichever request comes second finds no admin right to revoke.
      ['not_an_admin', ''],
    ],
    [
      'one removes themselves, one revokes their own right',
      (r, a, b) => [remove(r, a, a), revoke(r, b, b)],
      ['last_admin'],
    ],
    [
      'one removes themselves and two other users, one revokes their own right',
      (r, a, b) => [remove(r, a, a, 'stranger', 'another'), revoke(r, b, b)],
      ['last_admin'],
    ],
    ['both leave', (r, a, b) => [leave(r, a), leave(r, b)], ['last_admin']],
    ['one leaves, one revokes their own right', (r, a, b) => [leave(r, a), revoke(r, b, b)], ['last_admin']],
    ['one leaves, one removes themselves', (r, a, b) => [leave(r, a), remove(r, b, b)], ['last_admin']],
    [
      'one leaves, and the other revokes their right',
      (r, a, b) => [leave(r, a), revoke(r, b, a)],
      ['', 'participant_not_found'],
    ],
    ['one leaves, and the other removes them', (r, a, b) => [leave(r, a), remove(r, b, a)], ['', 'not_a_participant']],
  ])('%s', async (_, calls, expected) => {
    await rounds(await twoAdmins(), async ({ room_id, admin, member }, n) => {
      const admins = [admin, member] as const;
      const refused = await race(n, ...calls(room_id, ...admins));
      expect(expected).toContain(refused.join());
      const left = await adminsOf(room_id, admins);
      expect(left).toHaveLength(1);
    });
  });
});

test('if five admins all revoke their own right, one stays admin', async () => {
  for (let n = 0; n < 20; n++) {
    const others = Array.from({ length: 4 }, (_, k) => newUser(`admin${k}`));
    const { room_id, admin } = await newRoom({ members: others });
    for (const participant_id of others) await data('grantAdmin', { as: admin, params: { room_id, participant_id } });
    const all = [admin, ...others];
    const replies = await Promise.all(all.map((id) => invoke(...revoke(room_id, id, id))));
    expect(replies.filter(({ ok }) => ok)).toHaveLength(4);
    expect(await adminsOf(room_id, all)).toHaveLength(1);
  }
});

test('if five admins all leave and remove one more, one stays', async () => {
  for (let n = 0; n < 20; n++) {
    const others = Array.from({ length: 4 }, (_, k) => newUser(`admin${k}`));
    const { room_id, admin, member } = await newRoom({ members: others });
    for (const participant_id of others) await data('grantAdmin', { as: admin, params: { room_id, participant_id } });
    const all = [admin, ...others];
    const replies = await Promise.all(all.map((id) => invoke(...remove(room_id, id, id, member, 'a', 'b', 'c'))));
    expect(replies.filter(({ ok }) => ok)).toHaveLength(4);
    expect(replies.flatMap((reply) => (reply.ok ? [] : [reply.code]))).toEqual(['last_admin']);
    expect(await adminsOf(room_id, all)).toHaveLength(1);
  }
});

test('granting and removing the same participant at the same time never leaves an admin who is not a participant', async () => {
  await rounds(await newRoom(), async ({ room_id, admin, member }, n) => {
    const refused = await race(
      n,
      ['grantAdmin', { as: admin, params: { room_id, participant_id: member } }],
      remove(room_id, admin, member),
    );
    expect(['', 'participant_not_found']).toContain(refused.join());
    // If the right still existed, it would be visible once they are participants again.
    const [again] = await data('addParticipants', {
      as: admin,
      params: { room_id },
      body: { participant_ids: [member] },
    });
    expect(again).toMatchObject({ participant_id: member, is_admin: false });
  });
});

test('if five admins all leave, one stays', async () => {
  for (let n = 0; n < 20; n++) {
    const others = Array.from({ length: 4 }, (_, k) => newUser(`admin${k}`));
    const { room_id, admin } = await newRoom({ members: others });
    for (const participant_id of others) await data('grantAdmin', { as: admin, params: { room_id, participant_id } });
    const all = [admin, ...others];
    const replies = await Promise.all(all.map((id) => invoke(...leave(room_id, id))));
    expect(replies.filter(({ ok }) => ok)).toHaveLength(4);
    expect(replies.flatMap((reply) => (reply.ok ? [] : [reply.code]))).toEqual(['last_admin']);
    expect(await adminsOf(room_id, all)).toHaveLength(1);
  }
});

test('granting the right to a participant who leaves at the same time never leaves an admin who is not a participant', async () => {
  await rounds(await newRoom(), async ({ room_id, admin, member }, n) => {
    const refused = await race(
      n,
      ['grantAdmin', { as: admin, params: { room_id, participant_id: member } }],
      leave(room_id, member),
    );
    expect(['', 'participant_not_found']).toContain(refused.join());
    const body = { participant_ids: [member] };
    const [again] = await data('addParticipants', { as: admin, params: { room_id }, body });
    expect(again).toMatchObject({ participant_id: member, is_admin: false });
  });
});

test('many simultaneous grants to one participant count as one', async () => {
  const { room_id, admin, member } = await newRoom();
  const request = { as: admin, params: { room_id, participant_id: member } };
  const all = await Promise.all(Array.from({ length: 10 }, () => data('grantAdmin', request)));
  expect(all.every(({ is_admin }) => is_admin)).toBe(true);
  expect(await adminsOf(room_id, [admin])).toEqual([admin, member].sort());
});

test('simultaneous calls that add the same and other participants add each of them once', async () => {
  const { room_id, admin } = await newRoom();
  const shared = newUser('shared');
  const own = Array.from({ length: 10 }, (_, n) => newUser(`p${n}`));
  await Promise.all(
    own.map((id) =>
      succeed('addParticipants', { as: admin, params: { room_id }, body: { participant_ids: [id, shared] } }),
    ),
  );
  expect(await data('listParticipants', { as: admin, params: { room_id } })).toHaveLength(13);
});

test('a room that is ended and changed at the same time is ended', async () => {
  await rounds(await newRoom(), async ({ room_id, admin }, n) => {
    const refused = await race(
      n,
      ['changeRoom', { as: admin, params: { room_id }, body: { name: 'changed' } }],
      ['endRoom', { as: admin, params: { room_id } }],
    );
    expect(['', 'room_ended']).toContain(refused.join());
    expect((await data('getRoom', { as: admin, params: { room_id } })).status).toBe('ended');
  });
});
