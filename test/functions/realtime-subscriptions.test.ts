import { describe, expect, test } from 'vitest';
import { userConnectionKey } from '../../core/store/keys.ts';
import { get } from '../../core/store/read.ts';
import { handler as roomChanges } from '../../functions/events/room-changes.ts';
import { handler as connect } from '../../functions/realtime/connect.ts';
import { data } from '../support/invoke.ts';
import { startRealtimeServices } from '../support/realtime-services.ts';
import { runEventFunction } from '../support/run-event-function.ts';
import { disconnect, invokeAction, joined, newSocket, reply, type Socket, socketEvent } from '../support/socket.ts';
import { changesIn, recorded } from '../support/stream.ts';
import { newRoom, newUser } from '../support/world.ts';

const { management } = await startRealtimeServices();

/** Runs `work`, and lets room-changes process its records. */
async function processed(work: () => Promise<unknown>): Promise<void> {
  const records = await recorded(work);
  const { result } = await runEventFunction('room-changes', (context) => roomChanges(changesIn(records), context));
  expect(result.batchItemFailures).toEqual([]);
}

const received = ({ connection_id }: Socket) =>
  management.received(connection_id).map(({ type, room_id, data }) => ({ type, room_id, data }));

async function subscribed(user: string, token_expires_at?: number): Promise<Socket> {
  const socket = newSocket(user, token_expires_at);
  expect(await reply('subscribe', socket, {})).toEqual({ participant_id: user });
  return socket;
}
const isKnown = async ({ user_id, connection_id }: Socket) =>
  (await get(userConnectionKey(user_id, connection_id))) !== undefined;

const add = (room_id: string, as: string, ...participant_ids: string[]) =>
  data('addParticipants', { as, params: { room_id }, body: { participant_ids } });
const remove = (room_id: string, as: string, ...participant_ids: string[]) =>
  data('removeParticipants', { as, params: { room_id }, body: { participant_ids } });

describe('a subscribed connection', () => {
  test('is notified when its user is added and removed, without a join', async () => {
    const { room_id, admin } = await newRoom();
    const user = newUser('added');
    const tabs = [await subscribed(user), await subscribed(user)];
    const [other, silent] = [await subscribed(newUser('other')), newSocket(user)];
    await processed(() => add(room_id, admin, user));
    await processed(() => remove(room_id, admin, user));
    const profile = { participant_id: user, username: null, archive_room: false, role: 'member' };
    for (const tab of tabs)
      expect(received(tab)).toEqual([
        { type: 'participant_added', room_id, data: profile },
        { type: 'participant_removed', room_id, data: { participant_id: user, reason: 'removed' } },
      ]);
    expect([received(other), received(silent)]).toEqual([[], []]);
  });

  test('is notified when a room with its user is created, even by the user', async () => {
    const [admin, user] = [newUser('admin'), newUser('user')];
    const sockets = [await subscribed(admin), await subscribed(user)];
    let room_id = '';
    await processed(async () => {
      ({ room_id } = await data('createRoom', { as: admin, body: { name: 'R', participant_ids: [user] } }));
    });
    for (const socket of sockets)
      expect(received(socket)).toMatchObject([
        { type: 'participant_added', room_id, data: { participant_id: socket.user_id } },
      ]);
  });

  test("is notified once of its user's removal from a room that it has joined", async () => {
    const { room_id, admin, member } = await newRoom();
    const socket = await joined(room_id, member);
    await reply('subscribe', socket, {});
    await processed(() => remove(room_id, admin, member));
    expect(received(socket).filter(({ type }) => type === 'participant_removed')).toHaveLength(1);
  });

  test('may subscribe again, and is removed when it disconnects', async () => {
    const socket = await subscribed(newUser('user'));
    await reply('subscribe', socket, {});
    expect(await isKnown(socket)).toBe(true);
    await disconnect(socket);
    expect(await isKnown(socket)).toBe(false);
  });

  test('is removed if it is gone, and closed if it is unresponsive or its token has expired', async () => {
    const { room_id, admin } = await newRoom();
    const user = newUser('user');
    const [gone, unresponsive] = [await subscribed(user), await subscribed(user)];
    const expired = await subscribed(user, Math.floor(Date.now() / 1_000) + 1);
    management.respondWith(gone.connection_id, 410);
    management.respondWith(unresponsive.connection_id, 500);
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    await processed(() => add(room_id, admin, user));
    expect(await isKnown(gone)).toBe(false);
    expect(management.closed.toSorted()).toEqual([unresponsive, expired].map((socket) => socket.connection_id).sort());
    expect(received(expired)).toEqual([]);
  });
});

test('a connection without a subscription costs nothing when it closes', async () => {
  const { room_id, member } = await newRoom();
  const trace = await disconnect(await joined(room_id, member));
  expect([...trace.used].filter((permission) => permission.endsWith(' USER'))).toEqual([]);
});

test('an invalid frame gets a list of issues with their fields, like an HTTP request', async () => {
  const refused = await invokeAction('message', newSocket(newUser('user')), {
    room_id: 'x',
    client_message_id: 'no spaces',
    text: '',
  });
  expect(refused).toMatchObject({ ok: false, code: 'invalid_request' });
  const paths = refused.ok ? [] : refused.errors?.map(({ code, path }) => `${code} ${path}`);
  expect(paths).toEqual(expect.arrayContaining(['invalid_request room_id', 'invalid_request client_message_id']));
  const { room_id } = await newRoom();
  const stranger = await invokeAction('join', newSocket(newUser('stranger')), { room_id });
  expect(stranger).toMatchObject({ ok: false, code: 'not_a_participant' });
  expect(stranger).not.toHaveProperty('errors');
});

describe('a handshake that offers sub-protocols', () => {
  const offering = (protocols: string) => {
    const { requestContext } = socketEvent('$connect', newSocket(newUser('user')));
    return connect({ headers: { 'Sec-WebSocket-Protocol': protocols }, requestContext });
  };

  test.each(['rooms.v1, bearer.x', 'rooms.v2, rooms.v1, bearer.x', 'bearer.x'])(
    'is accepted: %s',
    async (protocols) => {
      expect(await offering(protocols)).toEqual({ statusCode: 200, headers: { 'Sec-WebSocket-Protocol': 'rooms.v1' } });
    },
  );

  test('is rejected if it offers only other versions of this API, with a list of the supported ones', async () => {
    expect(await offering('rooms.v3, bearer.x')).toEqual({
      statusCode: 400,
      body: JSON.stringify({ message: 'The sub-protocol must be rooms.v2 or rooms.v1.' }),
    });
  });
});
