import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  type Connection,
  type Message,
  RoomsApiError,
  RoomsClient,
  type RoomsClientOptions,
  type TokenRequest,
} from '../../client/src/index.ts';
import { breakableWay, lossyWebSocket, type Way } from './faults.ts';
import { collect, until } from './until.ts';
import { isV1, startWireServer, unsignedToken, type WireServer } from './wire-server.ts';

let server: WireServer;
let way: Way;
const open: Connection[] = [];

beforeEach(async () => {
  server = await startWireServer();
  way = await breakableWay(server.wsUrl);
});
afterEach(async () => {
  for (const connection of open.splice(0)) connection.close();
  await way.close();
  await server.close();
});

const QUICK = {
  replyMs: 500,
  openMs: 2_000,
  retryInitialMs: 5,
  reconnectInitialMs: 5,
  reconnectMaxMs: 100,
} satisfies Partial<RoomsClientOptions>;

const clientOf = (user: string, options: Partial<RoomsClientOptions> = {}) =>
  new RoomsClient({ url: server.url, wsUrl: way.url, token: () => unsignedToken(user), ...QUICK, ...options });

async function connect(client: RoomsClient): Promise<Connection> {
  const connection = await client.connect();
  open.push(connection);
  return connection;
}

/** Creates a room of Alice with Bob as a participant, and connects both. */
async function meeting(options: Partial<RoomsClientOptions> = {}) {
  const alice = clientOf('alice', options);
  const bob = clientOf('bob', { wsUrl: server.wsUrl });
  const { room_id } = await alice.createRoom({ name: 'Meeting', participant_ids: ['bob'] });
  return { alice, bob, room_id, connection: await connect(alice), bobs: await connect(bob) };
}

const textsOf = (messages: readonly Message[]) => messages.map(({ text }) => text);
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'no error',
    (error: unknown) => (error instanceof RoomsApiError ? error.code : error),
  );

test('runs the first example of the README: join, listen, send', async () => {
  const { connection, bobs, room_id } = await meeting();
  const room = await connection.join(room_id);
  const heard: Message[] = [];
  const stop = room.on('message', (message, event) => {
    expect(event).toMatchObject({ type: 'message', room_id, data: message });
    heard.push(message);
  });
  const bobsRoom = await bobs.join(room_id);
  const sent = await bobsRoom.send({ text: 'Hello 👋' });
  await until('the message is heard', () => heard.length === 1);
  expect(heard).toEqual([sent]);
  expect(sent).toMatchObject({ room_id, sender_id: 'bob', text: 'Hello 👋', attachment: null });
  expect(room.info).toMatchObject({ room_id, name: 'Meeting', is_admin: true });
  expect(connection).toMatchObject({ state: 'connected', userId: 'alice' });
  stop();
  const next = new Promise((resolve) => room.once('message', resolve));
  await room.send({ text: 'Not heard any more' });
  await next;
  expect(heard).toHaveLength(1);
});

test('sends the token as a sub-protocol, never in the URL', async () => {
  const urls: string[] = [];
  const token = unsignedToken('alice');
  const WebSocketSpy = class extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      urls.push(url);
    }
  };
  await connect(clientOf('alice', { token: () => token, WebSocket: WebSocketSpy }));
  expect(urls.map((url) => new URL(url).href)).toEqual([way.url]);
  expect(server.tokens).toEqual([token]);
});

test('delivers an own message once, whether the reply or the broadcast arrives first', async () => {
  const { connection, room_id } = await meeting();
  const room = await connection.join(room_id);
  const heard: Message[] = [];
  room.on('message', (message) => heard.push(message));
  const sent = await room.send({ text: 'mine' });
  server.broadcastDelay = 20;
  const late = await room.send({ text: 'mine too' });
  await until('both are heard', () => heard.length >= 2);
  await sleep(50);
  expect(heard).toEqual([sent, late]);
});

test('delivers an own message even if the broadcast is lost', async () => {
  const WebSocket = lossyWebSocket((frame) => frame.includes('"type":"message"'));
  const { connection, room_id } = await meeting({ WebSocket, lagMs: 50 });
  const room = await connection.join(room_id);
  const heard: Message[] = [];
  room.on('message', (message) => heard.push(message));
  const sent = await room.send({ text: 'mine' });
  await until('it is heard', () => heard.length === 1);
  expect(heard).toEqual([sent]);
});

test('does not deliver messages from before the join unless history is requested', async () => {
  const { alice, connection, bobs, room_id } = await meeting();
  const bobsRoom = await bobs.join(room_id);
  for (const text of ['1', '2', '3', '4', '5']) await bobsRoom.send({ text });

  const heard: string[] = [];
  const room = await connection.join(room_id);
  room.on('message', ({ text }) => heard.push(`live ${text}`));
  await bobsRoom.send({ text: '6' });
  await until('the sixth', () => heard.length === 1);
  await room.leave();

  const withHistory = await connection.join(room_id, { history: 3 });
  withHistory.on('message', ({ text }) => heard.push(`history ${text}`));
  await bobsRoom.send({ text: '7' });
  await until('the seventh', () => heard.at(-1) === 'history 7');
  expect(heard).toEqual(['live 6', 'history 4', 'history 5', 'history 6', 'history 7']);
  way.cut();
  await bobsRoom.send({ text: '8' });
  await until('the eighth', () => heard.at(-1) === 'history 8');
  expect(heard).toHaveLength(6);
  await withHistory.leave();

  const { items } = await alice.listMessages(room_id, { limit: 4 });
  await bobsRoom.send({ text: '9' });
  const withKnown = await connection.join(room_id, { known: items.slice(1) });
  const known: (string | null)[] = [];
  withKnown.on('message', ({ text }) => known.push(text));
  await until('the ninth', () => known.at(-1) === '9');
  expect(known).toEqual(['8', '9']);
  await expect(connection.join('0199d3f4-5c1e-7a80-9a6b-2f1d6a4c8e01', { known: [], history: 1 })).rejects.toThrow(
    'history or known',
  );
});

test('rejects a join that the service rejects, and keeps no state of it', async () => {
  const { connection, room_id } = await meeting();
  const carol = await connect(clientOf('carol'));
  expect(await codeOf(carol.join(room_id))).toBe('not_a_participant');
  expect(await codeOf(connection.join('0199d3f4-5c1e-7a80-9a6b-2f1d6a4c8e01'))).toBe('room_not_found');
  server.refusals.push({ action: 'join', code: 'room_not_started' });
  expect(await codeOf(connection.join(room_id))).toBe('room_not_started');
  // A later join succeeds.
  expect((await connection.join(room_id)).id).toBe(room_id);
});

test('returns the same room when joined twice', async () => {
  const { connection, room_id } = await meeting();
  const [one, two] = await Promise.all([connection.join(room_id), connection.join(room_id)]);
  expect(one).toBe(two);
  expect(server.frames.filter((action) => action === 'join')).toHaveLength(1);
});

test('connects by itself when a room is joined', async () => {
  const { alice, room_id } = await meeting();
  const room = await alice.join(room_id);
  expect(room.info.room_id).toBe(room_id);
  expect(await alice.connect()).toBe(open[0]);
});

test('resends frames after temporary rejections, and keeps the order of messages', async () => {
  const { connection, room_id } = await meeting();
  server.refusals.push({ action: 'join', code: 'try_again' }, { action: 'join', code: 'too_many_requests' });
  const room = await connection.join(room_id);
  for (const code of ['try_again', 'internal', 'too_many_requests'] as const)
    server.refusals.push({ action: 'message', code });
  const texts = Array.from({ length: 20 }, (_, n) => String(n));
  // The first message is rejected three times. The others must not overtake it.
  const sent = await Promise.all(texts.map((text) => room.send({ text })));
  expect(textsOf(sent)).toEqual(texts);
  const ids = sent.map(({ message_id }) => message_id);
  expect(ids).toEqual(ids.toSorted());
});

test('rejects a message that fails permanently, and sends the next one', async () => {
  const { connection, room_id } = await meeting();
  const room = await connection.join(room_id);
  server.refusals.push({ action: 'message', code: 'file_not_found' });
  const file_id = '0199d3f4-8a10-7c44-b1de-5a7c0e9f3b02';
  const [refused, sent] = await Promise.allSettled([room.send({ attachment: { file_id } }), room.send({ text: 'ok' })]);
  expect(refused).toMatchObject({ reason: { code: 'file_not_found', status: 404, retryable: false } });
  expect(sent).toMatchObject({ status: 'fulfilled', value: { text: 'ok' } });
  expect(await room.send({ text: '', attachment: { file_id } })).toMatchObject({ text: null, attachment: { file_id } });
});

test('reports the states of a connection', async () => {
  const { connection, room_id } = await meeting();
  const states: string[] = [];
  for (const state of ['connecting', 'connected', 'reconnecting', 'idle', 'closed'] as const)
    connection.on(state, () => states.push(state));
  connection.on('reconnecting', ({ attempt, delayMs, error }) => {
    expect(attempt).toBeGreaterThan(0);
    expect(delayMs).toBeLessThanOrEqual(100);
    expect(error).toBeInstanceOf(RoomsApiError);
  });
  const room = await connection.join(room_id);
  const again = new Promise((resolve) => room.on('rejoined', resolve));
  way.cut();
  expect(await again).toMatchObject({ room_id });
  connection.close();
  connection.close();
  expect(states).toEqual(['reconnecting', 'connected', 'closed']);
  expect(room.closed).toEqual({ reason: 'connection_closed' });
  expect(await codeOf(room.send({ text: 'too late' }))).toBe('connection_closed');
  expect(await codeOf(connection.join(room_id))).toBe('connection_closed');
});

test('notices by a ping that a socket is dead', async () => {
  const { connection, bobs, room_id } = await meeting({ pingMs: 50, replyMs: 200 });
  const room = await connection.join(room_id);
  const heard: Message[] = [];
  room.on('message', (message) => heard.push(message));
  const bobsRoom = await bobs.join(room_id);
  const again = new Promise((resolve) => room.on('rejoined', resolve));
  way.freeze();
  await bobsRoom.send({ text: 'into the void' });
  await again;
  expect(textsOf(heard)).toEqual(['into the void']);
});

test('stores a message once if the socket dies while it is sent', async () => {
  const { alice, connection, room_id } = await meeting({ replyMs: 200 });
  const room = await connection.join(room_id);
  way.freeze();
  const sent = await room.send({ text: 'through thick and thin' });
  expect((await alice.listMessages(room_id)).items).toEqual([sent]);
});

test('delivers messages that are sent between two sockets from the history', async () => {
  const { connection, bobs, room_id } = await meeting();
  const room = await connection.join(room_id);
  const bobsRoom = await bobs.join(room_id);
  const heard: (string | null)[] = [];
  room.on('message', ({ text }) => heard.push(text));
  for (let n = 0; n < 10; n++) {
    const again = new Promise((resolve) => room.on('rejoined', resolve));
    way.cut();
    await bobsRoom.send({ text: `missed ${n}` });
    await again;
    await bobsRoom.send({ text: `live ${n}` });
  }
  await until('all are there', () => heard.length >= 20);
  expect(heard).toEqual(Array.from({ length: 10 }, (_, n) => [`missed ${n}`, `live ${n}`]).flat());
});

test('delivers all messages before the end of a room, then reports the end and ends the loops', async () => {
  const { alice, connection, bobs, room_id } = await meeting();
  const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
  const closed = vi.fn();
  room.on('closed', closed);
  const loop = collect(room.events(), ({ type }) => type);
  const messages = collect(room.messages(), ({ text }) => text);
  // The broadcast of this message arrives after the end of the room.
  server.broadcastDelay = 1_000;
  await bobsRoom.send({ text: 'last words' });
  server.broadcastDelay = 0;
  await alice.endRoom(room_id);
  expect(await loop).toEqual(['message', 'room_ended']);
  expect(await messages).toEqual(['last words']);
  expect(closed.mock.calls).toEqual([[{ reason: 'room_ended' }]]);
  expect(room.info.status).toBe('ended');
  expect(await codeOf(room.send({ text: 'too late' }))).toBe('room_ended');
  // With rooms.v1, the service closes the socket. The client does not reconnect, because no room is joined.
  if (isV1) await until('the connection rests', () => connection.state === 'idle');
  await sleep(50);
  expect(connection.state).toBe(isV1 ? 'idle' : 'connected');
  expect(server.tokens).toHaveLength(2);

  const other = await alice.createRoom({ name: 'Another' });
  expect((await connection.join(other.room_id)).info.name).toBe('Another');
  expect(connection.state).toBe('connected');
});

test('delivers the last messages of a room that ended during an outage, and closes it', async () => {
  const { alice, connection, bobs, room_id } = await meeting();
  const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
  const heard = collect(room.messages(), ({ text }) => text);
  const closed = new Promise((resolve) => room.on('closed', resolve));
  way.refusing = true;
  way.cut();
  await bobsRoom.send({ text: 'missed' });
  await alice.endRoom(room_id);
  way.refusing = false;
  expect(await closed).toMatchObject({ reason: 'room_ended', error: { code: 'room_ended' } });
  expect(await heard).toEqual(['missed']);
});

describe('a room that ends while its history cannot be read', () => {
  /** Ends a room before Bob's last message is broadcast. Alice cannot read the history while `state.down` is set. */
  async function ended(connectMs: number) {
    const state = { down: false, asked: 0 };
    const get: typeof fetch = async (input, init) => {
      if (!state.down || !String(input).includes('/chat')) return fetch(input, init);
      state.asked++;
      throw new TypeError('The network is down.');
    };
    const { alice, connection, bobs, room_id } = await meeting({ fetch: get, connectMs });
    const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
    const heard = collect(room.messages(), ({ text }) => text);
    const closed = new Promise((resolve) => room.on('closed', resolve));
    server.broadcastDelay = 30_000;
    await bobsRoom.send({ text: 'last words' });
    server.broadcastDelay = 0;
    state.down = true;
    await alice.endRoom(room_id);
    return { state, room, heard, closed };
  }

  test('delivers its last messages once the history can be read', async () => {
    const { state, room, heard, closed } = await ended(30_000);
    // More than the attempts of one request.
    await until('it is asked for again', () => state.asked > 10);
    expect(room.closed).toBeUndefined();
    state.down = false;
    expect(await heard).toEqual(['last words']);
    expect(await closed).toEqual({ reason: 'room_ended' });
  });

  test('reports that messages may be missing if the history stays unreadable for connectMs', async () => {
    const { heard, closed } = await ended(100);
    expect(await closed).toMatchObject({ reason: 'room_ended', error: { code: 'network_error' } });
    expect(await heard).toEqual([]);
  });

  test('stops waiting if the application leaves the room', async () => {
    const { room, closed } = await ended(30_000);
    await room.leave();
    expect(await closed).toEqual({ reason: 'left' });
  });
});

test('reports the removal of the user, and does not join again', async () => {
  const { alice, connection, bobs, room_id } = await meeting();
  const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
  const bobsEvents = collect(bobsRoom.events(), ({ type }) => type);
  const removed = new Promise((resolve) => room.on('participant_removed', resolve));
  await alice.removeParticipants(room_id, ['bob']);
  expect(await bobsEvents).toEqual(['participant_removed']);
  expect(bobsRoom.closed).toEqual({ reason: 'removed' });
  expect(await removed).toEqual({ participant_id: 'bob', reason: 'removed' });
  expect(room.closed).toBeUndefined();
  expect(await codeOf(bobsRoom.send({ text: 'too late' }))).toBe('not_a_participant');
});

test('reports a removal that happened during an outage', async () => {
  const { alice, connection, room_id } = await meeting();
  const { room_id: other } = await clientOf('bob').createRoom({ name: 'Bob’s', participant_ids: ['alice'] });
  const [staying, leaving] = await Promise.all([connection.join(room_id), connection.join(other)]);
  way.refusing = true;
  way.cut();
  await clientOf('bob').removeParticipants(other, ['alice']);
  const closed = new Promise((resolve) => leaving.on('closed', resolve));
  const again = new Promise((resolve) => staying.on('rejoined', resolve));
  way.refusing = false;
  expect(await closed).toMatchObject({ reason: 'removed', error: { code: 'not_a_participant' } });
  await again;
  expect(await codeOf(alice.getRoom(other))).toBe('not_a_participant');
});

describe('a message whose acknowledgement is lost', () => {
  /** Connects Bob through the proxy and joins Alice's room. His socket loses replies to messages while `loss.on` is set. */
  async function bobsSending() {
    const { alice, room_id } = await meeting();
    const loss = { on: false };
    const WebSocket = lossyWebSocket(
      (frame) => loss.on && frame.includes('"type":"reply"') && frame.includes('sender_id'),
    );
    const bob = clientOf('bob', { WebSocket });
    const connection = await connect(bob);
    const room = await connection.join(room_id);
    const closed = new Promise((resolve) => room.on('closed', resolve));
    return { alice, room_id, loss, bob, connection, room, closed };
  }
  const stored = async (client: RoomsClient, room_id: string) => (await client.listMessages(room_id)).items;
  const endRoom = (alice: RoomsClient, room_id: string) => alice.endRoom(room_id);
  const removeBob = (alice: RoomsClient, room_id: string) => alice.removeParticipants(room_id, ['bob']);

  test.each([
    ['the room ends', endRoom, 'room_ended'],
    ['the sender is removed', removeBob, 'removed'],
  ])('is resolved if the message was stored before %s', async (_, shut, reason) => {
    const { alice, room_id, loss, bob, connection, room, closed } = await bobsSending();
    loss.on = true;
    const sending = room.send({ text: 'last words' });
    await until('it is stored', () => server.handled.includes('message'));
    // Queued after the first message, and never sent.
    const late = codeOf(room.send({ text: 'too late' }));
    await shut(alice, room_id);
    loss.on = false;
    expect(await closed).toMatchObject({ reason });
    expect([await sending]).toEqual(await stored(alice, room_id));
    expect(await late).toBe(reason === 'removed' ? 'not_a_participant' : reason);
    // The client opened one more socket to resolve the message. After that socket closes, the client does not reconnect.
    server.closeSockets();
    await until('the connection rests', () => connection.state === 'idle');
    expect(await bob.connect()).toBe(connection);
  });

  test.each([
    ['the room has ended', endRoom, 'room_ended'],
    ['the sender was removed', removeBob, 'not_a_participant'],
  ])('is resolved after an outage in which %s', async (_, shut, code) => {
    const { alice, room_id, loss, room, closed } = await bobsSending();
    loss.on = true;
    const sending = room.send({ text: 'stored' });
    await until('it is stored', () => server.handled.includes('message'));
    way.refusing = true;
    way.cut();
    loss.on = false;
    await shut(alice, room_id);
    way.refusing = false;
    expect([await sending]).toEqual(await stored(alice, room_id));
    await closed;
    expect(await codeOf(room.send({ text: 'not any more' }))).toBe(code);
  });

  test('is rejected with the reason if the message was never stored', async () => {
    const { alice, room_id, room } = await bobsSending();
    way.freeze();
    const sending = codeOf(room.send({ text: 'never arrives' }));
    await alice.removeParticipants(room_id, ['bob']);
    expect(await sending).toBe('not_a_participant');
    expect(await stored(alice, room_id)).toEqual([]);
  });

  test.each([
    ['closes the connection', (connection: Connection, _: AbortController) => connection.close(), 'connection_closed'],
    ['aborts', (_: Connection, abort: AbortController) => abort.abort('not interested'), 'not interested'],
  ])('is abandoned if the application %s', async (_, end, outcome) => {
    const { alice, room_id, loss, connection, room, closed } = await bobsSending();
    const abort = new AbortController();
    loss.on = true;
    const sending = codeOf(room.send({ text: 'x' }, { signal: abort.signal }));
    await until('it is stored', () => server.handled.includes('message'));
    way.refusing = true;
    await alice.endRoom(room_id);
    await closed;
    await until('a socket is looked for', () => connection.state === 'reconnecting');
    end(connection, abort);
    expect(await sending).toBe(outcome);
  });
});

test('replaces a socket before its token expires, with a new token', async () => {
  const asked: TokenRequest[] = [];
  let life = 2;
  const token = (request: TokenRequest) => {
    asked.push(request);
    return unsignedToken('alice', life);
  };
  const { connection, bobs, room_id } = await meeting({ token });
  const room = await connection.join(room_id);
  const heard: (string | null)[] = [];
  room.on('message', ({ text }) => heard.push(text));
  life = 3_600;
  await new Promise((resolve) => room.on('rejoined', resolve));
  expect(asked.filter(({ refresh }) => refresh)).toHaveLength(1);
  await (await bobs.join(room_id)).send({ text: 'still here' });
  await until('it is heard', () => heard.length === 1);
});

test('replaces a token that expires while connected, and resends rejected frames', async () => {
  const refreshed: boolean[] = [];
  const token = ({ refresh }: TokenRequest) => {
    refreshed.push(refresh);
    return unsignedToken('alice');
  };
  const { connection, room_id } = await meeting({ token });
  const room = await connection.join(room_id);
  server.refusals.push({ action: 'message', code: 'token_expired' });
  expect(await room.send({ text: 'with a new token' })).toMatchObject({ text: 'with a new token' });
  expect(refreshed).toContain(true);
  await until('the socket with the old token is closed', () => way.open() === 1);
});

test('rejects the first connect with invalid_token if the service also rejects a new token', async () => {
  const token = vi.fn(({ refresh }: TokenRequest) => unsignedToken('alice', refresh ? -10 : -20));
  const connecting = clientOf('alice', { token, connectMs: 20_000, reconnectInitialMs: 20_000 }).connect();
  await expect(connecting).rejects.toMatchObject({ code: 'invalid_token', status: 401 });
  expect(token.mock.calls).toEqual([[{ refresh: false }], [{ refresh: true }]]);
  // Node repeats a handshake that fails with 401, so the same token can appear twice.
  expect(new Set(server.tokens).size).toBe(2);
  const before = server.tokens.length;
  await sleep(100);
  expect(server.tokens).toHaveLength(before);
});

test('connects with a new token if the service rejects the old one', async () => {
  const connection = await connect(
    clientOf('alice', { token: ({ refresh }) => unsignedToken('alice', refresh ? 3_600 : -10) }),
  );
  expect(connection.state).toBe('connected');
});

test('rejects the first connect with the error of a token callback that throws, but never a later one', async () => {
  const down = new Error('IAMS is down');
  await expect(
    clientOf('alice', {
      token: () => {
        throw down;
      },
    }).connect(),
  ).rejects.toBe(down);

  let isDown = false;
  const token = () => {
    if (isDown) throw down;
    return unsignedToken('alice');
  };
  const { connection, room_id } = await meeting({ token });
  const room = await connection.join(room_id);
  const again = new Promise((resolve) => room.on('rejoined', resolve));
  isDown = true;
  const errors: unknown[] = [];
  connection.on('reconnecting', ({ error }) => errors.push(error));
  way.cut();
  await until('the callback has failed', () => errors.includes(down));
  isDown = false;
  await again;
});

test('rejects a join with the error of a token callback that throws', async () => {
  const down = new Error('The identity provider is down');
  let isDown = false;
  const token = () => {
    if (isDown) throw down;
    return unsignedToken('alice');
  };
  const { connection, room_id } = await meeting({ token });
  isDown = true;
  await expect(connection.join(room_id)).rejects.toBe(down);
});

test('aborts connect, join and send', async () => {
  way.refusing = true;
  const connecting = new AbortController();
  const connected = clientOf('alice').connect({ signal: connecting.signal });
  connecting.abort(new Error('no patience'));
  await expect(connected).rejects.toThrow('no patience');
  way.refusing = false;

  const { connection, room_id } = await meeting();
  const room = await connection.join(room_id);
  way.refusing = true;
  way.cut();
  await until('the client has noticed', () => connection.state === 'reconnecting');
  const sending = new AbortController();
  const sent = room.send({ text: 'never mind' }, { signal: sending.signal });
  const joining = new AbortController();
  const { room_id: other } = await clientOf('alice').createRoom({ name: 'Other' });
  const joined = connection.join(other, { signal: joining.signal });
  sending.abort();
  joining.abort();
  await expect(sent).rejects.toMatchObject({ name: 'AbortError' });
  await expect(joined).rejects.toMatchObject({ name: 'AbortError' });
  way.refusing = false;
  expect(await room.send({ text: 'but this' })).toMatchObject({ text: 'but this' });
});

test('aborting one wait for a connection or a room does not abort the others', async () => {
  const alice = clientOf('alice');
  way.refusing = true;
  const impatient = new AbortController();
  const [first, second] = [alice.connect({ signal: impatient.signal }), alice.connect()];
  impatient.abort();
  await expect(first).rejects.toMatchObject({ name: 'AbortError' });
  way.refusing = false;
  const connection = await second;
  open.push(connection);

  const { room_id } = await alice.createRoom({ name: 'Meeting' });
  way.refusing = true;
  way.cut();
  await until('the client has noticed', () => connection.state === 'idle');
  const bored = new AbortController();
  const [third, fourth] = [connection.join(room_id, { signal: bored.signal }), connection.join(room_id)];
  bored.abort();
  await expect(third).rejects.toMatchObject({ name: 'AbortError' });
  way.refusing = false;
  expect((await fourth).id).toBe(room_id);
});

test('closes a connection after all waits for it are aborted, and opens a new one next time', async () => {
  const alice = clientOf('alice');
  way.refusing = true;
  const controller = new AbortController();
  const both = [alice.connect({ signal: controller.signal }), alice.connect({ signal: controller.signal })];
  controller.abort();
  for (const one of both) await expect(one).rejects.toMatchObject({ name: 'AbortError' });
  await expect(alice.connect({ signal: controller.signal })).rejects.toMatchObject({ name: 'AbortError' });
  way.refusing = false;
  expect((await connect(alice)).state).toBe('connected');
  await until('no other is left', () => way.open() === 1);
});

test('holds messages back while the history cannot be read, and loses none', async () => {
  let broken = false;
  const fetch: typeof globalThis.fetch = (input, init) =>
    broken && String(input).includes('/chat')
      ? Promise.reject(new TypeError('unplugged'))
      : globalThis.fetch(input, init);
  const { connection, bobs, room_id } = await meeting({ fetch, retries: 0 });
  const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
  const heard: (string | null)[] = [];
  room.on('message', ({ text }) => heard.push(text));
  broken = true;
  way.refusing = true;
  way.cut();
  await until('the client has noticed', () => connection.state === 'reconnecting');
  await bobsRoom.send({ text: 'missed' });
  way.refusing = false;
  await until('the client is back', () => server.frames.filter((action) => action === 'join').length === 3);
  await bobsRoom.send({ text: 'live' });
  await sleep(50);
  expect(heard).toEqual([]);
  broken = false;
  await until('both are there', () => heard.length === 2);
  expect(heard).toEqual(['missed', 'live']);
});

test('a listener that throws does not affect other listeners', async () => {
  const reported = vi.spyOn(console, 'error').mockImplementation(() => {});
  const { connection, room_id } = await meeting();
  const room = await connection.join(room_id);
  const heard: (string | null)[] = [];
  room.on('message', () => {
    throw new Error('a bug of the application');
  });
  room.on('message', ({ text }) => heard.push(text));
  await room.send({ text: 'one' });
  await room.send({ text: 'two' });
  await until('both are heard', () => heard.length >= 2);
  expect(heard).toEqual(['one', 'two']);
  expect(reported).toHaveBeenCalledTimes(2);
  reported.mockRestore();
});

test('delivers an own message to a room that has just been joined', async () => {
  const { connection, room_id } = await meeting();
  for (let n = 0; n < 50; n++) {
    const room = await connection.join(room_id);
    const heard: (string | null)[] = [];
    room.on('message', ({ text }) => heard.push(text));
    await room.send({ text: `message ${n}` });
    await until('it is delivered', () => heard.length > 0);
    await room.leave();
    expect(heard).toEqual([`message ${n}`]);
  }
});

test('leaving a loop ends only the loop', async () => {
  const { connection, room_id } = await meeting();
  const room = await connection.join(room_id);
  const first: (string | null)[] = [];
  const loop = (async () => {
    for await (const { text } of room.messages()) {
      first.push(text);
      break;
    }
  })();
  await room.send({ text: 'one' });
  await loop;
  await room.send({ text: 'two' });
  expect(first).toEqual(['one']);
  await room.leave();
  expect(room.closed).toEqual({ reason: 'left' });
  expect(await collect(room.messages())).toEqual([]);
  expect(server.frames.at(-1)).toBe('leave');
});

test('leave and an immediate join keep their order: the user is in the room', async () => {
  const { connection, bobs, room_id } = await meeting();
  const bobsRoom = await bobs.join(room_id);
  const before = await connection.join(room_id);
  server.delays.leave = 200;
  void before.leave();
  const room = await connection.join(room_id);
  const heard: Message[] = [];
  room.on('message', (message) => heard.push(message));
  await until('the leave is handled', () => server.handled.includes('leave'));
  expect(server.joined(room_id)).toEqual(['bob', 'alice']);
  await bobsRoom.send({ text: 'Are you there?' });
  await until('the message is heard', () => heard.length > 0);
  expect(server.handled).toEqual(['join', 'join', 'leave', 'join', 'message']);
});

test('join and an immediate leave keep their order: the user is not in the room', async () => {
  const { connection, room_id } = await meeting();
  server.delays.join = 200;
  const controller = new AbortController();
  const joining = connection.join(room_id, { signal: controller.signal });
  await until('the join is on its way', () => server.frames.includes('join'));
  controller.abort(new Error('changed my mind'));
  await expect(joining).rejects.toThrow('changed my mind');
  await until('both are handled', () => server.handled.length === 2);
  expect(server.handled).toEqual(['join', 'leave']);
  expect(server.joined(room_id)).toEqual([]);
});

test('rejects invalid options at once', async () => {
  const options = { url: 'https://rooms.example.com', token: () => 'x' };
  expect(() => new RoomsClient({ ...options, url: 'rooms.example.com' })).toThrow('url must be a URL');
  expect(() => new RoomsClient({ ...options, wsUrl: 'https://rooms.example.com' })).toThrow('wss:// or ws://');
  expect(() => new RoomsClient({ ...options, pingMs: -1 })).toThrow('pingMs must be a number');
  await expect(new RoomsClient(options).connect()).rejects.toThrow('Real time needs the option wsUrl');
});
