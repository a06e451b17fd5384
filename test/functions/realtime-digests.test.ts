import { describe, expect, test, vi } from 'vitest';
import { MAX_PACKED_BYTES } from '../../core/contract/limits.ts';
import { digestEvents } from '../../core/realtime/presence-digest.ts';
import { connectionKey } from '../../core/store/keys.ts';
import { digestOf } from '../../core/store/presence-digest.ts';
import { remove } from '../../core/store/write.ts';
import { handler as presence } from '../../functions/events/presence.ts';
import { handler as roomChanges } from '../../functions/events/room-changes.ts';
import { haveJoined } from '../fixtures/write-items.ts';
import { data } from '../support/invoke.ts';
import { runLanes } from '../support/lanes.ts';
import { queueEvent } from '../support/queue-event.ts';
import { startDeliveryServices } from '../support/realtime-services.ts';
import { runEventFunction } from '../support/run-event-function.ts';
import { joined, newSocket, reply } from '../support/socket.ts';
import { changesIn, recorded } from '../support/stream.ts';
import { type Frame, joinedV2, unpack } from '../support/v2-client.ts';
import { newRoom, newUser } from '../support/world.ts';

const { management, services } = await startDeliveryServices();

const crowdOf = (count: number) => Array.from({ length: count }, (_, n) => `crowd-${String(n).padStart(5, '0')}=`);
const arrive = (room_id: string, ids: readonly string[]) =>
  haveJoined(room_id, ids, undefined, { protocol: 'rooms.v2' });
const framesAt = (connection_id: string): Frame[] =>
  management.delivered.flatMap((post) => (post.connection_id === connection_id ? [JSON.parse(post.frame)] : []));
const eventsAt = (connection_id: string) => framesAt(connection_id).flatMap(unpack);
const presenceAt = (connection_id: string) =>
  eventsAt(connection_id).flatMap((event) => (event.type === 'presence' ? [event.data] : []));
const typesAt = (connection_id: string) => eventsAt(connection_id).map(({ type }) => type);

/** Runs `work`, and lets room-changes process its records. */
async function processed(work: () => Promise<unknown>) {
  const records = await recorded(work);
  await handle(records);
  return records;
}
const handle = async (records: Parameters<typeof changesIn>[0]) => {
  const { result } = await runEventFunction('room-changes', (context) => roomChanges(changesIn(records), context));
  await runLanes();
  return result.batchItemFailures;
};
const queued = () => services.messages.filter(({ MessageBody }) => MessageBody.includes('"digest"'));
/** Invokes the presence function with the last queued digest. */
const digest = async (body = queued().at(-1)?.MessageBody ?? '') => {
  const { result } = await runEventFunction('presence', (context) => presence(queueEvent(body), context));
  await runLanes();
  return result.batchItemFailures;
};

/** A room with `count` users online, and with one connection of each protocol version. */
async function crowded(count: number) {
  const members = Array.from({ length: 3 }, () => newUser());
  const world = await newRoom({ members });
  const { room_id, admin, member } = world;
  const [v1, { socket: v2 }] = [await joined(room_id, admin), await joinedV2(room_id, member)];
  const crowd = crowdOf(count);
  await arrive(room_id, crowd);
  return { ...world, members, crowd, v1: v1.connection_id, v2: v2.connection_id };
}
const join = (room_id: string, user: string) => processed(() => joinedV2(room_id, user));

describe('presence in a room of more than 100', () => {
  test('is sent as one digest of all changes in a second', async () => {
    const { room_id, members, v1, v2 } = await crowded(100);
    const [first = '', second = '', third = ''] = members;
    // The first join above 100 is still sent as an event with the name of the user.
    await join(room_id, first);
    expect(typesAt(v2)).toEqual(['peer_joined']);
    expect(queued()).toEqual([]);

    await join(room_id, second);
    const socket = newSocket(third);
    await processed(() => reply('join', socket, { room_id }));
    await processed(() => reply('leave', socket, { room_id }));
    expect(typesAt(v2)).toEqual(['peer_joined']);
    expect(queued()).toHaveLength(1);
    expect(queued()[0]?.DelaySeconds).toBe(1);

    expect(await digest()).toEqual([]);
    const [data, ...others] = presenceAt(v2);
    expect(others).toEqual([]);
    expect(data).toEqual({
      count: 104,
      joined: [{ participant_id: second, username: null }],
      left: [{ participant_id: third, username: null }],
    });
    // rooms.v1 has no digests. Its connections receive one event per user.
    expect(management.received(v1).map(({ type, data }) => [type, data.participant_id])).toEqual([
      ['peer_joined', first],
      ['peer_joined', second],
      ['peer_left', third],
    ]);
    // No digest is pending, and a second delivery of the same message has no effect.
    expect(await digestOf(room_id)).not.toHaveProperty('due');
    expect(await digest()).toEqual([]);
    expect(presenceAt(v2)).toHaveLength(1);
    expect(queued()).toHaveLength(1);
  });

  test('is sent as digests after a join whose batch has other events, too', async () => {
    const { room_id, members, v2 } = await crowded(100);
    const [first = '', second = ''] = members;
    await processed(async () => {
      await joinedV2(room_id, first);
      await data('updateProfile', { as: first, params: { room_id }, body: { username: 'First' } });
    });
    await join(room_id, second);
    expect(typesAt(v2).filter((type) => type === 'peer_joined')).toHaveLength(1);
    expect(queued()).toHaveLength(1);
  });

  test('is sent as another digest if it changes while one is sent', async () => {
    const { room_id, members, v2 } = await crowded(100);
    const [first = '', second = '', third = ''] = members;
    await join(room_id, first);
    await join(room_id, second);
    const records = await recorded(() => joinedV2(room_id, third));
    let isNoted: Promise<unknown> | undefined;
    management.onRequest = () => {
      isNoted ??= handle(records);
    };
    await digest();
    await isNoted;
    if (queued().length === 1) expect(await digestOf(room_id)).toMatchObject({ is_on: true });
    await digest();
    const names = presenceAt(v2).flatMap((data) => data.joined?.map(({ participant_id }) => participant_id) ?? []);
    expect(new Set(names)).toEqual(new Set([second, third]));
    expect(await digestOf(room_id)).not.toHaveProperty('due');
  });

  test('is sent even if the queue failed or the digest was lost', async () => {
    const { room_id, members, v2 } = await crowded(100);
    const [first = '', second = '', third = ''] = members;
    await join(room_id, first);
    const records = await recorded(() => joinedV2(room_id, second));
    services.broken.sqs = true;
    expect(await handle(records)).toHaveLength(1);
    services.broken.sqs = false;
    expect(await handle(records)).toEqual([]);
    expect(queued()).toHaveLength(1);
    // This digest is lost. A minute later, the next change queues another one.
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 120_000 });
    try {
      await join(room_id, third);
      expect(queued()).toHaveLength(2);
      await digest();
    } finally {
      vi.useRealTimers();
    }
    expect(
      presenceAt(v2)[0]
        ?.joined?.map(({ participant_id }) => participant_id)
        .sort(),
    ).toEqual([second, third].sort());
  });

  test('is sent by name again when fewer than 80 users are online', async () => {
    const { room_id, members, crowd, v2 } = await crowded(100);
    const [first = '', second = '', third = ''] = members;
    await join(room_id, first);
    for (const id of crowd.slice(30)) await remove(connectionKey(room_id, id));
    await join(room_id, second);
    await digest();
    expect(presenceAt(v2)).toMatchObject([{ count: 34 }]);
    await join(room_id, third);
    expect(typesAt(v2)).toEqual(['peer_joined', 'presence', 'peer_joined']);
    expect(queued()).toHaveLength(1);
  });
});

test('presence in a room of more than 1,000 users is a count, at most once per second', {
  timeout: 60_000,
}, async () => {
  const { room_id, members, v1, v2 } = await crowded(2_050);
  const [first = '', second = ''] = members;
  await join(room_id, first);
  await join(room_id, second);
  expect(queued().map(({ DelaySeconds }) => DelaySeconds)).toEqual([2]);
  expect(await digestOf(room_id)).not.toHaveProperty('changed');
  await digest();
  expect(presenceAt(v2)).toEqual([{ count: 2_054 }]);
  expect(management.received(v1).map(({ type }) => type)).toEqual(['peer_joined']);
});

describe('the events of a digest', () => {
  const peers = (count: number, name: string) =>
    Array.from({ length: count }, (_, n) => ({ participant_id: `${n}`.padEnd(128, 'é'), username: name.repeat(100) }));

  test('fit into frames, for any names', () => {
    const events = digestEvents('r', 1_000, { joined: peers(500, '€'), left: peers(500, 'x') }, 'now');
    for (const event of events) expect(Buffer.byteLength(JSON.stringify(event))).toBeLessThan(MAX_PACKED_BYTES);
    const names = events.flatMap(({ data }) => {
      const { joined = [], left = [] } = data as { joined?: unknown[]; left?: unknown[] };
      return [...joined, ...left];
    });
    expect(names).toHaveLength(1_000);
  });

  test('are a single event if no user is named', () => {
    expect(digestEvents('r', 5, undefined, 'now')).toMatchObject([{ data: { count: 5 } }]);
    expect(digestEvents('r', 5, { joined: [], left: [] }, 'now')).toMatchObject([
      { data: { count: 5, joined: [], left: [] } },
    ]);
  });
});
