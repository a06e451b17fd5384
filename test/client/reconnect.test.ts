import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { type RoomsApiError, RoomsClient, type TokenRequest } from '../../client/src/index.ts';
import { isHasty, nextAttempt, type Outcome, renewAfter, type TokenState } from '../../client/src/reconnect.ts';
import { codeOf, wireServers } from './meeting.ts';
import { gateway, startScriptedServer } from './scripted-server.ts';
import { until } from './until.ts';
import { isV1, unsignedToken } from './wire-server.ts';

const WAITS = { reconnectInitialMs: 500, reconnectMaxMs: 30_000 };

describe('nextAttempt', () => {
  const lost = (change: Partial<Outcome & { kind: 'lost' }> = {}): Outcome => ({
    kind: 'lost',
    lastedMs: 60_000,
    planned: false,
    renew: false,
    ...change,
  });
  const failed = (token: TokenState): Outcome => ({ kind: 'failed', token });

  test('resets the backoff after a socket that lasted 10 seconds, and not after a shorter one', () => {
    expect(nextAttempt(7, false, lost({ lastedMs: 10_000 }), WAITS)).toEqual({
      failures: 1,
      refresh: false,
      longestMs: 500,
    });
    expect(nextAttempt(7, false, lost({ lastedMs: 9_999 }), WAITS)).toEqual({
      failures: 8,
      refresh: false,
      longestMs: 30_000,
    });
  });

  test('does not count a planned close as a failure, even of a short-lived socket', () => {
    let failures = 0;
    for (let n = 0; n < 14; n++) {
      const next = nextAttempt(failures, false, lost({ planned: true, lastedMs: 100 }), WAITS);
      expect(next).toEqual({ failures: 0, refresh: false, longestMs: 500 });
      failures = next.failures;
    }
  });

  test('renews a token at once, but not repeatedly if each new one is rejected', () => {
    const renew = lost({ renew: true, lastedMs: 5 });
    const first = nextAttempt(0, false, renew, WAITS);
    expect(first).toEqual({ failures: 1, refresh: true, longestMs: 0 });
    expect(nextAttempt(first.failures, true, renew, WAITS)).toEqual({ failures: 2, refresh: true, longestMs: 1_000 });
    expect(nextAttempt(9, true, lost({ renew: true }), WAITS)).toEqual({ failures: 0, refresh: true, longestMs: 0 });
  });

  test('gets a new token at once if the service rejects the current one', () => {
    expect(nextAttempt(6, false, failed('refused'), WAITS)).toEqual({ failures: 7, refresh: true, longestMs: 0 });
    expect(nextAttempt(6, true, failed('refused'), WAITS)).toEqual({ failures: 7, refresh: true, longestMs: 30_000 });
  });

  test('waits at most 4 seconds while nothing responds, and longer while the service responds', () => {
    for (const failures of [3, 10, 1_000]) {
      expect(nextAttempt(failures, false, failed('unreachable'), WAITS).longestMs).toBe(4_000);
      expect(nextAttempt(failures + 10, false, failed('busy'), WAITS).longestMs).toBe(30_000);
    }
    expect(nextAttempt(10, false, failed('unreachable'), { ...WAITS, reconnectMaxMs: 100 }).longestMs).toBe(100);
  });

  test('tries a new token in every fourth attempt if the cause is unknown', () => {
    const refreshes = [0, 1, 2, 3, 4].map((failures) => nextAttempt(failures, false, failed('unknown'), WAITS).refresh);
    expect(refreshes).toEqual([true, false, false, false, true]);
    expect(nextAttempt(4, false, failed('good'), WAITS).refresh).toBe(false);
  });
});

describe('renewAfter', () => {
  test('returns 30 seconds before the token expires, or half of its lifetime', () => {
    expect(renewAfter(3_600_000, false)).toBe(3_570_000);
    expect(renewAfter(20_000, false)).toBe(10_000);
  });

  test("returns nothing for a token that has expired by the client's clock, or without a known expiry", () => {
    for (const life of [0, -5, Number.NaN]) expect(renewAfter(life, false)).toBeUndefined();
  });

  test('returns at least 30 seconds after a renewal that came too soon', () => {
    expect(renewAfter(1_000, true)).toBe(30_000);
    expect([isHasty(29_999), isHasty(30_000)]).toEqual([true, false]);
  });
});

const wire = wireServers();

describe('a token callback that never settles', () => {
  const never = () => new Promise<string>(() => {});

  test('bounds HTTP calls and connect by tokenMs, without retries', async () => {
    const client = wire.clientOf('alice', { token: never, tokenMs: 50 });
    const why = { code: 'timeout', retryable: false, message: expect.stringContaining('tokenMs') };
    await expect(client.listRooms()).rejects.toMatchObject(why);
    await expect(client.connect()).rejects.toMatchObject(why);
    expect(wire.server.requests).toEqual([]);
  });

  test('does not block later calls or the connection', async () => {
    let hangs = false;
    const token = vi.fn(({ refresh }: TokenRequest) => (hangs && refresh ? never() : unsignedToken('alice')));
    const { alice, connection, room_id } = await wire.meeting({ token, tokenMs: 100 });
    const room = await connection.join(room_id);
    hangs = true;
    wire.server.refusals.push({ action: 'message', code: 'token_expired' });
    const sending = room.send({ text: 'through it' });
    await until('a new token is asked for', () => token.mock.calls.some(([{ refresh }]) => refresh));
    hangs = false;
    expect(await sending).toMatchObject({ text: 'through it' });
    expect(await alice.getRoom(room_id)).toMatchObject({ room_id });
  });
});

test('asks for a new token once for requests that need it together, and again for the next', async () => {
  // Created once, because tokens from different seconds differ.
  const tokens = [0, 1, 2, 3].map((n) => unsignedToken(`alice${n}`));
  let generation = 1;
  const asked: boolean[] = [];
  const token = async ({ refresh }: TokenRequest) => {
    asked.push(refresh);
    if (refresh) {
      await sleep(20);
      generation = served;
    }
    return tokens[generation] ?? '';
  };
  let served = 1;
  wire.server.refusesToken = (text) => text !== tokens[served];
  const client = wire.clientOf('alice', { token, retries: 0 });
  for (served = 2; served <= 3; served++) {
    const before = asked.filter(Boolean).length;
    await Promise.all([1, 2, 3].map(() => client.listRooms().catch(() => {})));
    expect(asked.filter(Boolean).length).toBe(before + 1);
  }
});

describe('a service that returns with new keys', () => {
  test('is reached at the first attempt: the client asks for a new token at once', async () => {
    let served = 'old';
    let own = 'old';
    const tokens = { old: unsignedToken('alice', 3_600), new: unsignedToken('alice', 3_601) };
    wire.server.refusesToken = (text) => Object.values(tokens).includes(text) && text !== tokens[served as 'old'];
    const token = ({ refresh }: TokenRequest) => {
      if (refresh) own = served;
      return tokens[own as 'old'];
    };
    const { connection, room_id } = await wire.meeting({ token });
    const room = await connection.join(room_id);
    const attempts: { attempt: number; delayMs: number; code: string }[] = [];
    connection.on('reconnecting', ({ attempt, delayMs, error }) =>
      attempts.push({ attempt, delayMs, code: (error as RoomsApiError).code }),
    );
    const again = new Promise((resolve) => room.on('rejoined', resolve));
    served = 'new';
    wire.way.cut();
    await again;
    // First the lost connection, then the rejected token. The attempt with a new token follows without a delay.
    expect(attempts.map(({ code }) => code)).toEqual(['connection_lost', 'invalid_token']);
    expect(attempts[1]?.delayMs).toBe(0);
    expect(wire.server.requests.filter((line) => line.includes('limit=1'))).toHaveLength(1);
  });

  test('is not asked at each attempt whether it accepts a token that has not expired', async () => {
    const own = unsignedToken('alice');
    const { connection, room_id } = await wire.meeting({ token: () => own });
    await connection.join(room_id);
    wire.way.refusing = true;
    wire.way.cut();
    let attempts = 0;
    await new Promise<void>((resolve) => connection.on('reconnecting', () => ++attempts === 9 && resolve()));
    const probes = wire.server.requests.filter((line) => line === 'GET /participant/room?limit=1');
    expect(probes.length).toBeLessThanOrEqual(3);
  });
});

test.skipIf(!isV1)(
  'rooms that end one after the other cause no backoff: the last room is rejoined each time',
  async () => {
    const { alice, connection } = await wire.meeting({ reconnectInitialMs: 20, reconnectMaxMs: 30_000 });
    const staying = await connection.join((await alice.createRoom({ name: 'Staying' })).room_id);
    const attempts: number[] = [];
    connection.on('reconnecting', ({ attempt, delayMs }) => {
      attempts.push(attempt);
      expect(delayMs).toBeLessThanOrEqual(20);
    });
    for (let n = 0; n < 14; n++) {
      const { room_id } = await alice.createRoom({ name: `Room ${n}` });
      await connection.join(room_id);
      const again = new Promise((resolve) => staying.once('rejoined', resolve));
      await alice.endRoom(room_id);
      await again;
    }
    expect(attempts).toEqual(Array(14).fill(1));
  },
);

test.skipIf(isV1)('rooms that end one after the other close no socket: the last room stays joined', async () => {
  const { alice, connection } = await wire.meeting();
  const staying = await connection.join((await alice.createRoom({ name: 'Staying' })).room_id);
  const [onReconnecting, onRejoined] = [vi.fn(), vi.fn()];
  connection.on('reconnecting', onReconnecting);
  staying.on('rejoined', onRejoined);
  for (let n = 0; n < 14; n++) {
    const { room_id } = await alice.createRoom({ name: `Room ${n}` });
    const room = await connection.join(room_id);
    const closed = new Promise((resolve) => room.once('closed', resolve));
    await alice.endRoom(room_id);
    expect(await closed).toEqual({ reason: 'room_ended' });
    expect(room.info.status).toBe('ended');
  }
  expect(onReconnecting).not.toHaveBeenCalled();
  expect(onRejoined).not.toHaveBeenCalled();
  expect(connection.state).toBe('connected');
});

test('does not renew repeatedly if the clock is ahead by nearly the lifetime of a token', async () => {
  const asked = vi.fn();
  const token = ({ refresh }: TokenRequest) => {
    if (refresh) asked();
    return unsignedToken('alice', 1);
  };
  // The wire server uses the same clock, so it accepts the token.
  const { connection, room_id } = await wire.meeting({ token });
  await connection.join(room_id);
  await until('it is renewed', () => asked.mock.calls.length === 1);
  const before = wire.server.tokens.length;
  // Without the minimum interval, the client would renew the token every 500 ms.
  await sleep(700);
  expect(wire.server.tokens.length - before).toBeLessThanOrEqual(1);
});

describe('a join', () => {
  test('that keeps being rejected fails with the reason, within joinMs', async () => {
    const { connection, room_id } = await wire.meeting({ joinMs: 200 });
    wire.server.refuseFrames = 'too_many_requests';
    const error: unknown = await connection.join(room_id).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'too_many_requests' });
    wire.server.refuseFrames = undefined;
    expect((await connection.join(room_id)).id).toBe(room_id);
  });

  test('that waits for a connection fails within joinMs', async () => {
    const { connection, room_id } = await wire.meeting({ joinMs: 100 });
    wire.way.refusing = true;
    wire.way.cut();
    await expect(connection.join(room_id)).rejects.toMatchObject({
      code: 'timeout',
      message: expect.stringContaining('joinMs'),
    });
  });

  test('promises pings as often as the client sends them, and promises none if they are rarer', async () => {
    const { alice, connection, room_id } = await wire.meeting();
    await connection.join(room_id);
    const rare = await wire.connect(wire.clientOf('alice', { pingMs: 60_000 }));
    await rare.join((await alice.createRoom({ name: 'Rare' })).room_id);
    expect(wire.server.promised).toEqual(isV1 ? [60, undefined] : [240, undefined]);
  });

  test('is repeated without the promise if the service rejects it', async () => {
    const { connection, room_id } = await wire.meeting();
    wire.server.refusals.push({ action: 'join', code: 'invalid_request' });
    expect((await connection.join(room_id)).id).toBe(room_id);
    expect(wire.server.promised).toEqual([isV1 ? 60 : 240, undefined]);
  });

  test('accepts any spelling of the id, and all spellings are one room', async () => {
    const { connection, bobs, room_id } = await wire.meeting();
    const [upper, lower] = await Promise.all([connection.join(room_id.toUpperCase()), connection.join(room_id)]);
    expect(upper).toBe(lower);
    expect(upper.id).toBe(room_id);
    const heard: (string | null)[] = [];
    upper.on('message', ({ text }) => heard.push(text));
    await (await bobs.join(room_id.toUpperCase())).send({ text: 'hello' });
    await until('it is heard', () => heard.length === 1);
  });

  test('without an id throws a TypeError', async () => {
    const { connection } = await wire.meeting();
    const none = undefined as unknown as string;
    await expect(connection.join(none)).rejects.toThrow(new TypeError('roomId must be the id of a room'));
  });
});

describe('a running room that is booked for later', () => {
  test('is joined again when it starts, and delivers what was missed', async () => {
    const { connection, bob, room_id } = await wire.meeting();
    const room = await connection.join(room_id);
    const heard: (string | null)[] = [];
    room.on('message', ({ text }) => heard.push(text));
    const waiting = new Promise((resolve) => room.once('waiting', resolve));
    const start_time = new Date(Date.now() + 300).toISOString();
    wire.server.set(room_id, { status: 'booked', start_time });
    wire.way.cut();
    expect(await waiting).toMatchObject({ status: 'booked', start_time });
    expect(room.closed).toBeUndefined();
    expect(room.info.status).toBe('booked');
    const again = new Promise((resolve) => room.once('rejoined', resolve));
    const sending = room.send({ text: 'when it starts' });
    wire.server.set(room_id, { status: 'started' });
    await again;
    expect(await sending).toMatchObject({ text: 'when it starts' });
    await until('it is heard', () => heard.length === 1);
    (await bob.connect()).close();
  });

  test('is closed if the user is removed or the room ends before it starts', async () => {
    const { alice, connection, room_id } = await wire.meeting();
    const room = await connection.join(room_id);
    wire.server.set(room_id, { status: 'booked', start_time: new Date(Date.now() + 100).toISOString() });
    const waiting = new Promise((resolve) => room.once('waiting', resolve));
    const closed = new Promise((resolve) => room.once('closed', resolve));
    wire.way.cut();
    await waiting;
    await alice.endRoom(room_id);
    expect(await closed).toMatchObject({ reason: 'room_ended' });
    expect(room.info.status).toBe('ended');
  });
});

test('room.info shows that a room ended during an outage', async () => {
  const { alice, connection, room_id } = await wire.meeting();
  const room = await connection.join(room_id);
  const closed = new Promise((resolve) => room.on('closed', resolve));
  wire.way.refusing = true;
  wire.way.cut();
  const { end_time } = await alice.endRoom(room_id);
  wire.way.refusing = false;
  expect(await closed).toMatchObject({ reason: 'room_ended' });
  expect(room.info).toMatchObject({ status: 'ended', end_time });
});

describe('invalid arguments are rejected with a hint:', () => {
  test.each<[string, () => unknown, string]>([
    ['no options', () => new RoomsClient(undefined as never), 'RoomsClient needs options'],
    ['no url', () => new RoomsClient({ token: () => 'x' } as never), 'url must be a URL'],
    ['no token', () => new RoomsClient({ url: 'http://localhost' } as never), 'token must be a function'],
  ])('%s', (_, make, message) => {
    expect(make).toThrow(TypeError);
    expect(make).toThrow(message);
  });

  test('an event that does not exist', async () => {
    const { connection, room_id } = await wire.meeting();
    const room = await connection.join(room_id);
    for (const listen of ['on', 'once', 'off'] as const) {
      expect(() => room[listen]('massage' as 'message', () => {})).toThrow(
        'There is no event "massage". The events are: message',
      );
      expect(() => connection[listen]('open' as 'idle', () => {})).toThrow('There is no event "open"');
    }
    expect(() => room.on('message', undefined as never)).toThrow('must be a function');
  });

  test.each(['a b', 'line\nbreak', '', 5])('a token that cannot be sent: %j', async (token) => {
    const client = wire.clientOf('alice', { token: () => token as string });
    const why = { code: 'invalid_token', message: expect.stringContaining('token') };
    await expect(client.listRooms()).rejects.toMatchObject(why);
    await expect(client.connect()).rejects.toMatchObject(why);
  });

  test('a token that a sub-protocol cannot carry', async () => {
    const client = wire.clientOf('alice', { token: () => 'a,b' });
    await expect(client.connect()).rejects.toMatchObject({ code: 'invalid_token', message: /Check wsUrl.*JWT/ });
  });

  test('the URL of another service', async () => {
    const other = await startScriptedServer();
    other.play(gateway(404, 'Not Found'));
    const client = new RoomsClient({ url: other.url, token: () => unsignedToken('alice'), retries: 0 });
    await expect(client.listRooms()).rejects.toMatchObject({
      code: 'unexpected_answer',
      status: 404,
      message: 'The answer is not one of the Rooms service: status 404 "Not Found". Check the option url.',
    });
    await other.close();
  });

  test('ids that a URL would change, and missing ids', async () => {
    const client = wire.clientOf('alice');
    for (const id of ['.', '..'])
      await expect(client.grantAdmin('room', id)).rejects.toMatchObject({
        code: 'invalid_request',
        errors: [{ path: 'participant_id' }],
      });
    await expect(client.getRoom(undefined as never)).rejects.toThrow(
      new TypeError('room_id must be a string that is not empty'),
    );
    await expect(client.uploadFile('room', 'text' as never)).rejects.toThrow(
      'file must be a File, a Blob or a Uint8Array',
    );
    expect(wire.server.requests).toEqual([]);
  });
});

describe('once and off', () => {
  test('once calls a listener once, and off removes it', async () => {
    const { connection, room_id } = await wire.meeting();
    const room = await connection.join(room_id);
    const [once, off, twice, stopped] = [vi.fn(), vi.fn(), vi.fn(), vi.fn()];
    room.once('message', once);
    room.on('message', off);
    room.off('message', off);
    room.on('message', twice);
    room.on('message', twice);
    room.once('message', stopped)();
    room.off('message', () => {});
    await room.send({ text: '1' });
    await until('it is heard', () => twice.mock.calls.length === 2);
    room.off('message', twice);
    await room.send({ text: '2' });
    await until('it is heard', () => twice.mock.calls.length === 3);
    expect([once, off, stopped].map((listener) => listener.mock.calls.length)).toEqual([1, 0, 0]);
  });
});

describe('the browser', () => {
  /** Node has no such events: as much of a window as the client uses. */
  function fakeWindow() {
    const events = new EventTarget();
    vi.stubGlobal('addEventListener', events.addEventListener.bind(events));
    vi.stubGlobal('removeEventListener', events.removeEventListener.bind(events));
    return { fire: (name: string) => events.dispatchEvent(new Event(name)) };
  }

  test('goes online: the next attempt starts at once', async () => {
    const window = fakeWindow();
    const { connection, room_id } = await wire.meeting({ reconnectInitialMs: 1_000_000, reconnectMaxMs: 1_000_000 });
    const room = await connection.join(room_id);
    const again = new Promise((resolve) => room.once('rejoined', resolve));
    wire.way.cut();
    await until('it is waiting', () => connection.state === 'reconnecting');
    window.fire('online');
    await again;
    vi.unstubAllGlobals();
  });

  test('goes offline: the socket is checked at once, and kept if it is alive', async () => {
    const window = fakeWindow();
    const { connection, room_id } = await wire.meeting({ pingMs: 1_000_000, replyMs: 200 });
    const room = await connection.join(room_id);
    window.fire('offline');
    await until('a ping is answered', () => wire.server.handled.includes('ping'));
    expect(connection.state).toBe('connected');
    const again = new Promise((resolve) => room.once('rejoined', resolve));
    wire.way.freeze();
    window.fire('offline');
    await again;
    vi.unstubAllGlobals();
  });

  test('keeps no listeners after the connection is closed', async () => {
    const added: string[] = [];
    vi.stubGlobal('addEventListener', (name: string) => added.push(name));
    vi.stubGlobal('removeEventListener', (name: string) => added.splice(added.indexOf(name), 1));
    const { connection, bobs } = await wire.meeting();
    expect(added).toEqual(['online', 'offline', 'online', 'offline']);
    connection.close();
    bobs.close();
    expect(added).toEqual([]);
    vi.unstubAllGlobals();
  });
});

test('retry opens the next socket at once', async () => {
  const { connection, room_id } = await wire.meeting({ reconnectInitialMs: 1_000_000, reconnectMaxMs: 1_000_000 });
  const room = await connection.join(room_id);
  const again = new Promise((resolve) => room.once('rejoined', resolve));
  wire.way.cut();
  await until('it is waiting', () => connection.state === 'reconnecting');
  connection.retry();
  await again;
});

test('a socket that opens stays open after openMs', async () => {
  const { connection, room_id } = await wire.meeting({ openMs: 500 });
  await connection.join(room_id);
  const onReconnecting = vi.fn();
  connection.on('reconnecting', onReconnecting);
  await new Promise((resolve) => setTimeout(resolve, 700));
  expect(onReconnecting).not.toHaveBeenCalled();
});

test('retry leaves an idle connection idle', async () => {
  const connection = await wire.connect(wire.clientOf('alice'));
  wire.way.cut();
  await until('the connection rests', () => connection.state === 'idle');
  const onConnecting = vi.fn();
  connection.on('connecting', onConnecting);
  connection.retry();
  await new Promise(setImmediate);
  expect(onConnecting).not.toHaveBeenCalled();
  expect(connection.state).toBe('idle');
});

test('no timer keeps the process alive after a connection is closed', async () => {
  const { connection, room_id } = await wire.meeting();
  const before = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const room = await connection.join(room_id);
  wire.server.lagMs = 1_000_000;
  const sending = codeOf(room.send({ text: 'stored' }));
  await sending;
  connection.close();
  await until('its timers are gone', () => {
    const now = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    // One timer can belong to the wire server.
    return now <= before + 1;
  });
});

describe('subscribe', () => {
  const ROOM = '0199d3f4-5c1e-7a80-9a6b-2f1d6a4c8e01';

  test('delivers once that the user was added to or removed from a room, and again on the next socket', async () => {
    const connection = await wire.connect(wire.clientOf('alice'));
    const events: string[] = [];
    connection.on('added', ({ room_id }) => void events.push(`added ${room_id}`));
    connection.on('removed', ({ room_id }) => void events.push(`removed ${room_id}`));
    connection.on('subscribed', () => void events.push('subscribed'));
    await connection.subscribe();
    await connection.subscribe();
    wire.server.notify('alice', ROOM, 'participant_added');
    wire.server.notify('alice', ROOM, 'participant_added');
    wire.server.notify('alice', ROOM, 'participant_removed');
    wire.server.notify('bob', ROOM, 'participant_added');
    await until('both are there', () => events.length >= 3);
    // No room is joined: without a subscription, the connection would be idle.
    wire.way.refusing = true;
    wire.way.cut();
    await until('it is offline', () => connection.state === 'reconnecting');
    wire.server.notify('alice', ROOM, 'participant_added');
    wire.way.refusing = false;
    await until('it is subscribed again', () => events.length >= 4);
    wire.server.notify('alice', ROOM, 'participant_removed');
    await until('the last one is there', () => events.length >= 5);
    expect(events).toEqual(['subscribed', `added ${ROOM}`, `removed ${ROOM}`, 'subscribed', `removed ${ROOM}`]);
  });

  test("delivers the user's own removal from a joined room once", async () => {
    const { alice, bobs, room_id } = await wire.meeting();
    const removed = vi.fn();
    bobs.on('removed', removed);
    await bobs.subscribe();
    const room = await bobs.join(room_id);
    const closed = new Promise((resolve) => room.once('closed', resolve));
    await alice.removeParticipants(room_id, ['bob']);
    expect(await closed).toEqual({ reason: 'removed' });
    expect(removed).toHaveBeenCalledTimes(1);
  });

  test('rejects if the service is too old, and the connection becomes idle again', async () => {
    const connection = await wire.connect(wire.clientOf('alice'));
    wire.server.refusals.push({ action: 'subscribe', code: 'invalid_request' });
    expect(await codeOf(connection.subscribe())).toBe('invalid_request');
    wire.way.cut();
    await until('the connection rests', () => connection.state === 'idle');
    await connection.subscribe();
    expect(connection.state).toBe('connected');
  });

  test('retries temporary failures, within joinMs', async () => {
    const connection = await wire.connect(wire.clientOf('alice', { joinMs: 300 }));
    wire.server.refusals.push({ action: 'subscribe', code: 'try_again' });
    await connection.subscribe();
    wire.way.refusing = true;
    wire.way.cut();
    await until('it is offline', () => connection.state === 'reconnecting');
    await expect(connection.subscribe()).rejects.toMatchObject({ code: 'timeout', message: /joinMs/ });
  });
});

test('no timer keeps the process alive after a first connect that failed', async () => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const before = timers();
  // Longer than the test, so that a timer that is left over is visible.
  const long = { connectMs: 1_000_000, openMs: 1_000_000, timeoutMs: 1_000_000, tokenMs: 1_000_000 };
  const refused = () => Promise.reject(new Error('No token today.'));
  await expect(wire.clientOf('alice', { ...long, token: refused }).connect()).rejects.toThrow('No token today.');
  wire.way.refusing = true;
  const unreachable = wire.clientOf('alice', { ...long, connectMs: 300 });
  expect(await codeOf(unreachable.connect())).toBe('network_error');
  await until('their timers are gone', () => timers() <= before);
});
