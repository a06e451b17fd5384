import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { DEFAULT_USER_LIMITS, USER_LIMITS, type UserLimit } from '../../core/contract/user-limits.ts';
import { limitKey } from '../../core/store/keys.ts';
import { appendMessage } from '../../core/store/messages.ts';
import { get } from '../../core/store/read.ts';
import { countUsage } from '../../core/store/user-limits.ts';
import { data, invoke, type Operation, type Request, refusal, refused, succeed } from '../support/invoke.ts';
import { at, newRoom, newUser, participantsOf, snapshot } from '../support/world.ts';

/** The start of a day, and so of an hour and a minute. */
const DAY = Date.parse('2027-03-01T00:00:00.000Z');
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** Counts `amount` uses of a limit for a user. */
const use = (caller: string, limit: UserLimit, amount: number, now: number) =>
  countUsage({ caller, now: new Date(now).toISOString(), uses: { [limit]: amount } });
const usedOf = async (caller: string, limit: UserLimit, now: number): Promise<unknown> => {
  const key = limitKey(caller, limit, Math.floor(now / 1_000 / USER_LIMITS[limit].seconds));
  return Object(await get(key)).used;
};
const upload = (as: string, room_id: string): Request => ({
  as,
  params: { room_id },
  query: { size: 1, content_type: 'text/plain' },
});
const create = (as: string, body: object = {}): Request => ({ as, body: { name: 'x', ...body } });
const add = (as: string, room_id: string, count: number): Request => ({
  as,
  params: { room_id },
  body: { participant_ids: Array.from({ length: count }, () => newUser()) },
});
const rename = (as: string, room_id: string): Request => ({ as, params: { room_id }, body: { username: 'x' } });

interface Case {
  readonly limit: UserLimit;
  readonly max: number;
  readonly ms: number;
  readonly operation: Operation;
  /** A request that counts as one use. */
  readonly request: (user: string, room_id: string, message_id: string) => Request;
  readonly message: string;
}
const cases: readonly Case[] = [
  {
    limit: 'roomsPerMinute',
    max: 120,
    ms: MINUTE,
    operation: 'createRoom',
    request: (user) => create(user),
    message: 'You can create 120 rooms per minute. Try again in 10 seconds.',
  },
  {
    limit: 'roomsPerDay',
    max: 2_000,
    ms: 24 * HOUR,
    operation: 'createRoom',
    request: (user) => create(user),
    message: 'You can create 2000 rooms per day. Try again in 10 seconds.',
  },
  {
    limit: 'participantsPerHour',
    max: 3_000,
    ms: HOUR,
    operation: 'addParticipants',
    request: (user, room_id) => add(user, room_id, 1),
    message: 'You can add 3000 participants per hour. Try again in 10 seconds.',
  },
  {
    limit: 'participantsPerHour',
    max: 3_000,
    ms: HOUR,
    operation: 'createRoom',
    request: (user) => create(user, { participant_ids: [newUser()] }),
    message: 'You can add 3000 participants per hour. Try again in 10 seconds.',
  },
  {
    limit: 'uploadsPerHour',
    max: 600,
    ms: HOUR,
    operation: 'createUpload',
    request: upload,
    message: 'You can request 600 uploads per hour. Try again in 10 seconds.',
  },
  {
    limit: 'profileChangesPerMinute',
    max: 60,
    ms: MINUTE,
    operation: 'updateProfile',
    request: rename,
    message: 'You can change profiles 60 times per minute. Try again in 10 seconds.',
  },
  {
    limit: 'messageChangesPerMinute',
    max: 120,
    ms: MINUTE,
    operation: 'deleteMessage',
    request: (user, room_id, message_id) => ({ as: user, params: { room_id, message_id } }),
    message: 'You can edit or delete messages 120 times per minute. Try again in 10 seconds.',
  },
];

const messageOf = async (room_id: string, sender_id: string): Promise<string> => {
  const message = { room_id, sender_id, client_message_id: 'm', text: 'x', now: new Date(DAY).toISOString() };
  return (await appendMessage(message)).message_id;
};

test('every limit is tested, with the documented number', () => {
  // Frames are counted per connection and per user: see realtime-messages.test.ts.
  const { framesPer10Seconds: _, ...http } = DEFAULT_USER_LIMITS;
  expect(Object.fromEntries(cases.map(({ limit, max }) => [limit, max]))).toEqual(http);
});

describe.each(cases)('$limit of $operation', ({ limit, max, ms, operation, request, message }) => {
  test(`accepts the last use of a window and rejects the next until the window ends`, async () => {
    const { room_id, admin } = await at(DAY - 24 * HOUR, () => newRoom());
    const message_id = await messageOf(room_id, admin);
    const end = DAY + ms;
    await use(admin, limit, max - 1, DAY);
    const late = end - 10_000;
    await at(late, () => succeed(operation, request(admin, room_id, message_id)));
    const before = await snapshot();
    const reply = await at(late, () => refused(operation, request(admin, room_id, message_id)));
    expect(reply).toMatchObject({
      status: 429,
      code: 'too_many_requests',
      message: 'Too many requests. Wait, then try again.',
      errors: [{ code: 'too_many_requests', message }],
      headers: { 'retry-after': '10' },
    });
    expect(await snapshot()).toEqual(before);
    expect(await usedOf(admin, limit, late)).toBe(max);
    const last = await at(end - 1, () => refused(operation, request(admin, room_id, message_id)));
    expect(last.headers).toMatchObject({ 'retry-after': '1' });
    await at(end, () => succeed(operation, request(admin, room_id, message_id)));
    expect(await usedOf(admin, limit, end)).toBe(1);
  });

  test('applies to each user separately', async () => {
    const { room_id, admin, member } = await newRoom();
    const message_id = await messageOf(room_id, admin);
    await data('grantAdmin', { as: admin, params: { room_id, participant_id: member } });
    await use(admin, limit, max, DAY);
    await at(DAY, async () => {
      expect(await refusal(operation, request(admin, room_id, message_id))).toBe('too_many_requests');
      await succeed(operation, request(member, room_id, message_id));
    });
  });
});

test('accepts 120 rooms in a minute, and rejects the next', async () => {
  const user = newUser();
  const statuses: number[] = [];
  await at(DAY, async () => {
    for (let n = 0; n < 125; n++) statuses.push((await invoke('createRoom', create(user))).status);
  });
  expect(statuses.filter((status) => status === 201)).toHaveLength(120);
  expect(statuses.filter((status) => status === 429)).toHaveLength(5);
});

describe('the count', () => {
  test('of participants includes each named user once, also existing participants, but not the creator', async () => {
    const { room_id, admin, member } = await newRoom();
    const twice = { participant_ids: [member, member, newUser()] };
    await at(DAY, () => data('addParticipants', { as: admin, params: { room_id }, body: twice }));
    expect(await usedOf(admin, 'participantsPerHour', DAY)).toBe(2);
    await at(DAY, () => data('createRoom', create(admin, { participant_ids: [admin, member] })));
    expect(await usedOf(admin, 'participantsPerHour', DAY)).toBe(3);
  });

  test('of rooms does not include a retry with the same key, even at the limit', async () => {
    const user = newUser();
    const request = { ...create(user), headers: { 'Idempotency-Key': randomUUID() } };
    await at(DAY, async () => {
      const first = await data('createRoom', request);
      await use(user, 'roomsPerMinute', 119, DAY);
      expect(await data('createRoom', request)).toEqual(first);
      expect(await refusal('createRoom', { ...request, body: { name: 'y' } })).toBe('idempotency_conflict');
      expect(await refusal('createRoom', create(user))).toBe('too_many_requests');
    });
    expect(await usedOf(user, 'roomsPerMinute', DAY)).toBe(120);
    expect(await usedOf(user, 'roomsPerDay', DAY)).toBe(1);
  });

  test('of a call above the limit does not change, and a smaller call still succeeds', async () => {
    const { room_id, admin } = await newRoom();
    await use(admin, 'participantsPerHour', 2_960, DAY);
    await at(DAY, async () => {
      expect(await refusal('addParticipants', add(admin, room_id, 41))).toBe('too_many_requests');
      expect(await participantsOf(room_id, admin)).toHaveLength(2);
      await data('addParticipants', add(admin, room_id, 40));
    });
    // If one of several limits rejects a call, neither the room nor its participants are counted.
    const people = Array.from({ length: 5 }, () => newUser());
    expect(await at(DAY, () => refusal('createRoom', create(admin, { participant_ids: people })))).toBe(
      'too_many_requests',
    );
    expect(await usedOf(admin, 'roomsPerDay', DAY)).toBeUndefined();
  });

  test('does not include rejected calls, except uploads, which are counted while the room is read', async () => {
    const { room_id, admin, member, outsider } = await newRoom();
    await at(DAY, async () => {
      expect(await refusal('addParticipants', add(member, room_id, 1))).toBe('not_an_admin');
      expect(await refusal('updateProfile', rename(outsider, room_id))).toBe('not_a_participant');
      expect(await refusal('createUpload', upload(outsider, room_id))).toBe('not_a_participant');
      expect(await refusal('createRoom', create(admin, { name: '' }))).toBe('invalid_request');
    });
    expect(await usedOf(member, 'participantsPerHour', DAY)).toBeUndefined();
    expect(await usedOf(outsider, 'profileChangesPerMinute', DAY)).toBeUndefined();
    expect(await usedOf(admin, 'roomsPerMinute', DAY)).toBeUndefined();
    expect(await usedOf(outsider, 'uploadsPerHour', DAY)).toBe(1);
  });
});

test.each<[Operation, UserLimit, number, (user: string, room_id: string) => Request, string]>([
  ['addParticipants', 'participantsPerHour', 3_000, (user, room) => add(user, room, 1), 'not_a_participant'],
  ['updateProfile', 'profileChangesPerMinute', 60, rename, 'not_a_participant'],
  ['createUpload', 'uploadsPerHour', 600, upload, 'not_a_participant'],
])('%s reports a rejection by the room before a reached limit', async (operation, limit, max, request, code) => {
  const { room_id, admin, outsider } = await newRoom();
  for (const user of [admin, outsider]) await use(user, limit, max, DAY);
  await at(DAY, async () => {
    expect(await refusal(operation, request(outsider, room_id))).toBe(code);
    expect(await refusal(operation, request(outsider, '0199d3f4-5c1e-7a80-9a6b-2f1d6a4c8e01'))).toBe('room_not_found');
    await data('endRoom', { as: admin, params: { room_id } });
    if (operation !== 'updateProfile') expect(await refusal(operation, request(admin, room_id))).toBe('room_ended');
  });
});

test('a limit in the settings of an environment replaces the default', async () => {
  const { USER_LIMITS: limits } = process.env;
  process.env.USER_LIMITS = JSON.stringify({ ...DEFAULT_USER_LIMITS, roomsPerMinute: 2 });
  try {
    const user = newUser();
    await at(DAY, async () => {
      for (let n = 0; n < 2; n++) await data('createRoom', create(user));
      expect(await refused('createRoom', create(user))).toMatchObject({
        errors: [{ message: 'You can create 2 rooms per minute. Try again in 60 seconds.' }],
      });
    });
  } finally {
    process.env.USER_LIMITS = limits;
  }
});

test('a counter expires with its window', async () => {
  const user = newUser();
  await at(DAY, () => data('createRoom', create(user)));
  const item = await get(limitKey(user, 'roomsPerMinute', DAY / MINUTE));
  expect(item).toMatchObject({ used: 1, expires_at: (DAY + MINUTE) / 1_000 });
});

describe('one user at full speed', () => {
  test('does not affect others: they get their responses, and the sender gets 429s', async () => {
    const attacker = newUser('attacker');
    const { room_id } = await data('createRoom', { as: attacker, body: { name: 'x' } });
    const others = await Promise.all(Array.from({ length: 5 }, () => newRoom()));
    const tally = { answered: 0, refused: 0 };
    const honest = { answered: 0, refused: 0 };
    const counted = async (into: typeof tally, operation: Operation, request: Request): Promise<void> => {
      const { ok, status } = await invoke(operation, request);
      if (!ok) expect(status).toBe(429);
      into[ok ? 'answered' : 'refused']++;
    };
    const fifty = (from: number) => Array.from({ length: 50 }, (_, n) => `person-${(from + n) % 500}`);
    const attack = async (n: number): Promise<void> => {
      await Promise.all([
        counted(tally, 'createRoom', create(attacker, { participant_ids: fifty(n) })),
        counted(tally, 'addParticipants', {
          as: attacker,
          params: { room_id },
          body: { participant_ids: fifty(n * 50) },
        }),
        counted(tally, 'createUpload', upload(attacker, room_id)),
        counted(tally, 'updateProfile', rename(attacker, room_id)),
      ]);
    };
    const work = async ({ room_id: own, admin, member }: (typeof others)[number]): Promise<void> => {
      await counted(honest, 'createRoom', create(admin, { participant_ids: [member] }));
      await counted(honest, 'addParticipants', add(admin, own, 10));
      await counted(honest, 'createUpload', upload(member, own));
      await counted(honest, 'updateProfile', rename(member, own));
      await counted(honest, 'getRoom', { as: member, params: { room_id: own } });
    };
    const rounds = 100;
    await at(DAY, async () => {
      for (let n = 0; n < rounds; n++) await Promise.all([attack(n), ...(n % 20 === 0 ? others.map(work) : [])]);
    });
    expect(honest).toEqual({ answered: 5 * 5 * 5, refused: 0 });
    // Accepted: 60 calls with 50 participants each, by any route, all 100 uploads, and 60 profile changes.
    expect(tally).toEqual({ answered: 60 + 100 + 60, refused: 400 - 220 });
    expect(await usedOf(attacker, 'participantsPerHour', DAY)).toBe(3_000);
  });
});
