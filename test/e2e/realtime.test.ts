import { randomUUID } from 'node:crypto';
import { ApiGatewayManagementApiClient, PostToConnectionCommand } from '@aws-sdk/client-apigatewaymanagementapi';
import { decodeJwt, generateKeyPair, SignJWT } from 'jose';
import * as v from 'valibot';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { MAX_FRAME_BYTES, MAX_FRAMES_PER_WINDOW } from '../../core/contract/limits.ts';
import { requestToken } from '../../local/oidc/oidc-issuer.ts';
import { npmStart, type RunningStack } from './npm-start.ts';
import { type Client, type Credentials, connect, hangUp, Refused } from './socket-client.ts';

const START_MS = 120_000;
const WAIT = { timeout: 60_000, interval: 50 };

let stack: RunningStack;
beforeAll(async () => {
  stack = await npmStart();
}, START_MS);
afterAll(async () => {
  await stack?.close();
}, START_MS);

const clients: Client[] = [];
afterEach(async () => {
  await hangUp(clients.splice(0));
});

const tokenOf = (user: string, claims?: Readonly<Record<string, unknown>>): Promise<string> =>
  requestToken(stack.issuer, user, claims);

async function online(user: string, claims?: Readonly<Record<string, unknown>>): Promise<Client> {
  const client = await connect(stack.ws, { protocol: await tokenOf(user, claims) });
  clients.push(client);
  return client;
}

async function joined(user: string, room_id: string): Promise<Client> {
  const client = await online(user);
  await client.data('join', { room_id });
  return client;
}

/** Returns the HTTP status of a handshake: 101 if it succeeds. */
async function refused(credentials: Credentials, url = stack.ws): Promise<number> {
  try {
    clients.push(await connect(url, credentials));
  } catch (error) {
    if (error instanceof Refused) return error.status;
    throw error;
  }
  return 101;
}

/** Returns `data` of an HTTP response. Throws if the call fails. */
async function call(user: string, method: string, path: string, body?: object): Promise<unknown> {
  const response = await fetch(stack.http + path, {
    method,
    headers: { authorization: `Bearer ${await tokenOf(user)}`, 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  });
  const answer: unknown = await response.json();
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${JSON.stringify(answer)}`);
  return v.parse(v.object({ data: v.unknown() }), answer).data;
}

interface Cast {
  readonly room_id: string;
  /** The creator and admin of the room. */
  readonly alice: string;
  readonly bob: string;
  readonly carol: string;
}

/** Creates a room with three new users. */
async function newRoom(fields: object = {}): Promise<Cast> {
  const [alice, bob, carol] = ['alice', 'bob', 'carol'].map((name) => `${name}-${randomUUID()}`);
  if (!alice || !bob || !carol) throw new Error('unreachable');
  const created = await call(alice, 'POST', '/room', { name: 'Stand-up', participant_ids: [bob, carol], ...fields });
  return { ...v.parse(v.object({ room_id: v.string() }), created), alice, bob, carol };
}

const busEvents = v.object({
  events: v.array(
    v.object({
      'event-bus': v.string(),
      'detail-type': v.string(),
      source: v.string(),
      detail: v.object({ room_id: v.string(), data: v.unknown() }),
    }),
  ),
});

/** Returns the events about a room on the event bus. */
async function onBus(room_id: string) {
  const { events } = v.parse(busEvents, await (await fetch(`${stack.http}/_local/events`)).json());
  return events.filter(({ detail }) => detail.room_id === room_id);
}

const sent = v.looseObject({ message_id: v.string(), text: v.nullable(v.string()), client_message_id: v.string() });

/** Returns the texts of the messages that a client has received, in order. */
const textsOf = (client: Client, room_id: string) =>
  client.events(room_id, 'message').map(({ data }) => v.parse(sent, data).text);

const say = (client: Client, room_id: string, text: string): Promise<unknown> =>
  client.data('message', { room_id, client_message_id: randomUUID(), text });

async function history(user: string, room_id: string): Promise<unknown> {
  return call(user, 'GET', `/participant/room/${room_id}/chat?order=asc&limit=200`);
}

describe('authentication', () => {
  test('accepts a token in the Authorization header, without a sub-protocol', async () => {
    const client = await connect(stack.ws, { header: await tokenOf('dora') });
    clients.push(client);
    expect(client.protocol).toBe('');
    expect(await client.data('ping')).toEqual({ time: expect.stringMatching(/^\d{4}-.*Z$/) });
  });

  test('accepts a token among the sub-protocols, as browsers send it, and does not return it', async () => {
    const client = await online('dora');
    expect(client.protocol).toBe('rooms.v1');
    expect(await client.data('ping')).toEqual({ time: expect.stringMatching(/^\d{4}-.*Z$/) });
  });

  test('rejects connections without a valid token', async () => {
    const good = await tokenOf('dora');
    const [header = '', payload = '', signature = ''] = good.split('.');
    const { privateKey } = await generateKeyPair('RS256');
    const foreign = await new SignJWT(decodeJwt(good)).setProtectedHeader({ alg: 'RS256' }).sign(privateKey);
    const forged = Buffer.from(JSON.stringify({ ...decodeJwt(good), sub: 'eve' })).toString('base64url');
    const statuses = {
      'no token': await refused(undefined),
      'no token among sub-protocols': await refused({ protocols: ['rooms.v1'] }),
      expired: await refused({ protocol: await tokenOf('dora', { exp: 1_700_000_000 }) }),
      'of another issuer': await refused({ protocol: await tokenOf('dora', { iss: 'https://iams.example' }) }),
      'for another audience': await refused({ header: await tokenOf('dora', { aud: 'another' }) }),
      'without a user': await refused({ protocol: await tokenOf('dora', { sub: null }) }),
      'signed by somebody else': await refused({ header: foreign }),
      'changed after it was signed': await refused({ protocol: `${header}.${forged}.${signature}` }),
      'not signed': await refused({ header: `${header}.${payload}.` }),
      nonsense: await refused({ header: 'nonsense' }),
    };
    expect(statuses).toEqual(Object.fromEntries(Object.keys(statuses).map((name) => [name, 401])));
  });

  test('rejects other paths, and tokens in the URL', async () => {
    const token = await tokenOf('dora');
    expect(await refused({ header: token }, stack.ws.replace(/\/[^/]+$/, '/other'))).toBe(403);
    expect(await refused(undefined, `${stack.ws}?token=${token}`)).toBe(401);
  });

  test('rejects frames after the token has expired, and delivers nothing more', async () => {
    const { room_id, alice, bob } = await newRoom();
    const a = await joined(alice, room_id);
    // The token must be valid long enough to join on a busy machine.
    const b = await online(bob, { exp: Math.floor(Date.now() / 1_000) + 8 });
    await b.data('join', { room_id });
    await expect
      .poll(async () => (await b.ask('ping')).error?.code, { timeout: 60_000, interval: 500 })
      .toBe('token_expired');
    await say(a, room_id, 'Bob must not read this');
    expect(await b.closed).toMatchObject({ code: 1000 });
    expect(textsOf(b, room_id)).toEqual([]);
  });
});

describe('joining', () => {
  test('returns the room, and joining again succeeds', async () => {
    const { room_id, bob } = await newRoom();
    const client = await online(bob);
    const first = await client.data('join', { room_id });
    expect(first).toMatchObject({ room_id, name: 'Stand-up', status: 'started', is_admin: false });
    expect(await client.data('join', { room_id })).toEqual(first);
    await client.waitFor(room_id, 'peer_joined');
  });

  test('requires a live room and a participant', async () => {
    const { room_id, alice, bob } = await newRoom();
    const start_time = new Date(Date.now() + 3_600_000).toISOString();
    const booked = await newRoom({ start_time });
    const outsider = await online(`eve-${randomUUID()}`);
    expect(await outsider.refusal('join', { room_id })).toBe('not_a_participant');
    expect(await outsider.refusal('join', { room_id: '0199d3f4-5c1e-7a80-9a6b-2f1d6a4c8e01' })).toBe('room_not_found');
    expect(await outsider.refusal('join', { room_id: 'x' })).toBe('invalid_request');
    expect(await (await online(booked.bob)).refusal('join', { room_id: booked.room_id })).toBe('room_not_started');
    await call(alice, 'DELETE', `/admin/room/${room_id}`);
    expect(await (await online(bob)).refusal('join', { room_id })).toBe('room_ended');
    // Connections that have not joined receive no events.
    expect(outsider.frames.every(({ type }) => type === 'reply')).toBe(true);
  });

  test('is undone by leave', async () => {
    const { room_id, alice, bob } = await newRoom();
    const [a, b] = [await joined(alice, room_id), await joined(bob, room_id)];
    await a.waitFor(room_id, 'peer_joined', 2);
    expect(await b.data('leave', { room_id })).toEqual({ room_id });
    expect(await a.waitFor(room_id, 'peer_left')).toMatchObject([{ data: { participant_id: bob } }]);
    await say(a, room_id, 'Bob is gone');
    await a.waitFor(room_id, 'message');
    expect(await b.data('leave', { room_id })).toEqual({ room_id });
    expect(textsOf(b, room_id)).toEqual([]);
  });
});

describe('messages', () => {
  test('reach all joined connections once, in stored order', async () => {
    const { room_id, alice, bob, carol } = await newRoom();
    const all = [await joined(alice, room_id), await joined(bob, room_id), await joined(carol, room_id)];
    const each = 12;
    await Promise.all(
      all.map(async (client, index) => {
        for (let count = 0; count < each; count += 1) await say(client, room_id, `${index}.${count}`);
      }),
    );
    for (const client of all) await client.waitFor(room_id, 'message', 3 * each);
    const [first] = all;
    const delivered = first?.events(room_id, 'message').map(({ data }) => data);
    for (const client of all) expect(client.events(room_id, 'message').map(({ data }) => data)).toEqual(delivered);
    expect(delivered).toHaveLength(3 * each);
    // Messages are delivered in stored order, while history is sorted by message id.
    const stored = v.parse(v.array(sent), await history(bob, room_id));
    const byId = [...v.parse(v.array(sent), delivered)].sort((a, b) => (a.message_id < b.message_id ? -1 : 1));
    expect(byId).toEqual(stored);
    // Messages of one sender have the same order in both, because the sender waits for each reply.
    for (const texts of [textsOf(all[1] ?? (all[0] as Client), room_id), stored.map(({ text }) => text)])
      for (const index of [0, 1, 2])
        expect(texts.filter((text) => text?.startsWith(`${index}.`))).toEqual(
          Array.from({ length: each }, (_, count) => `${index}.${count}`),
        );
  });

  test('are acknowledged with the message that all receive', async () => {
    const { room_id, alice, bob } = await newRoom();
    const [a, b] = [await joined(alice, room_id), await joined(bob, room_id)];
    const client_message_id = randomUUID();
    const text = 'Grüße 🦊\n"quoted"';
    const reply = await a.data('message', { room_id, client_message_id, text });
    expect(reply).toMatchObject({ room_id, sender_id: alice, client_message_id, text, attachment: null });
    const [delivered] = await b.waitFor(room_id, 'message');
    expect(delivered?.data).toEqual(reply);
    expect(await history(bob, room_id)).toEqual([reply]);
  });

  test('are stored once, however often the client sends them', async () => {
    const { room_id, alice, bob } = await newRoom();
    const [a, b] = [await joined(alice, room_id), await joined(bob, room_id)];
    const client_message_id = randomUUID();
    const times = Array.from({ length: 20 }, () => a.data('message', { room_id, client_message_id, text: 'Once' }));
    const replies = await Promise.all(times);
    expect(new Set(replies.map((reply) => JSON.stringify(reply))).size).toBe(1);
    // The same id of another sender identifies another message.
    await b.data('message', { room_id, client_message_id, text: 'Bob’s own' });
    await a.waitFor(room_id, 'message', 2);
    expect(textsOf(a, room_id)).toEqual(['Once', 'Bob’s own']);
    expect(v.parse(v.array(sent), await history(alice, room_id))).toHaveLength(2);
  });

  test('require a live room, a participant, and text or a file', async () => {
    const { room_id, alice } = await newRoom();
    const a = await joined(alice, room_id);
    const outsider = await online(`eve-${randomUUID()}`);
    const fields = { room_id, client_message_id: randomUUID() };
    expect(await outsider.refusal('message', { ...fields, text: 'Hello' })).toBe('not_a_participant');
    expect(await a.refusal('message', fields)).toBe('invalid_request');
    expect(await a.refusal('message', { ...fields, text: '' })).toBe('invalid_request');
    expect(await a.refusal('message', { ...fields, text: 'x'.repeat(8_001) })).toBe('invalid_request');
    expect(await a.refusal('message', { ...fields, text: 'x', extra: 1 })).toBe('invalid_request');
    await call(alice, 'DELETE', `/admin/room/${room_id}`);
    await a.closed;
    const back = await online(alice);
    expect(await back.refusal('message', { ...fields, text: 'Too late' })).toBe('room_ended');
  });

  test('contain the stored facts of a file that the sender has uploaded to the room', async () => {
    const { room_id, alice, bob } = await newRoom();
    const other = await newRoom();
    const [a, b] = [await joined(alice, room_id), await joined(bob, room_id)];
    const uploadOf = async (user: string, room: string) =>
      v.parse(
        v.object({ file_id: v.string(), upload_url: v.string(), headers: v.record(v.string(), v.string()) }),
        await call(user, 'GET', `/participant/room/${room}/upload?name=plan.txt&size=4&content_type=text/plain`),
      );
    const mine = await uploadOf(alice, room_id);
    const send = (client: Client, file_id: string) => ({
      client,
      fields: { room_id, client_message_id: randomUUID(), attachment: { file_id } },
    });
    const early = send(a, mine.file_id);
    expect(await a.refusal('message', early.fields)).toBe('file_not_uploaded');
    const put = await fetch(mine.upload_url, { method: 'PUT', headers: mine.headers, body: 'plan' });
    expect(put.status).toBe(200);

    expect(await b.refusal('message', send(b, mine.file_id).fields)).toBe('file_not_found');
    const elsewhere = await uploadOf(other.alice, other.room_id);
    expect(await a.refusal('message', send(a, elsewhere.file_id).fields)).toBe('file_not_found');
    expect(await a.refusal('message', send(a, randomUUID()).fields)).toMatch(/^(file_not_found|invalid_request)$/);

    // The rejected attempt stored nothing, so its client_message_id can be used again.
    const reply = await a.data('message', early.fields);
    const attachment = { file_id: mine.file_id, name: 'plan.txt', size: 4, content_type: 'text/plain' };
    expect(reply).toMatchObject({ text: null, attachment });
    const [delivered] = await b.waitFor(room_id, 'message');
    expect(delivered?.data).toEqual(reply);
    const { message_id } = v.parse(sent, reply);
    const download = v.parse(
      v.object({ download_url: v.string() }),
      await call(bob, 'GET', `/participant/room/${room_id}/download?message_id=${message_id}`),
    );
    expect(await (await fetch(download.download_url)).text()).toBe('plan');
  });
});

describe('invalid frames', () => {
  test('get an error reply, and the connection stays open', async () => {
    const client = await online('dora');
    const invalid = (message: string) => ({ ok: false, error: { code: 'invalid_request', message } });
    expect(await client.sendRaw('{"action":')).toMatchObject(invalid('A frame must be a JSON object.'));
    expect(await client.sendRaw('[1]')).toMatchObject(invalid('A frame must be a JSON object.'));
    expect(await client.sendRaw(Buffer.from([0xff, 0x00, 0x7b]))).toMatchObject(
      invalid('A frame must be a JSON object.'),
    );
    expect(await client.sendRaw('{}')).toMatchObject(
      invalid('action must be one of join, leave, message, ping, subscribe, typing'),
    );
    expect(await client.ask('shout')).toMatchObject(
      invalid('action must be one of join, leave, message, ping, subscribe, typing'),
    );
    expect(await client.ask('$disconnect')).toMatchObject(
      invalid('action must be one of join, leave, message, ping, subscribe, typing'),
    );
    expect(await client.ask('__proto__')).toMatchObject(
      invalid('action must be one of join, leave, message, ping, subscribe, typing'),
    );
    expect(await client.ask('ping', { padding: 'x'.repeat(MAX_FRAME_BYTES) })).toMatchObject({
      error: { code: 'payload_too_large' },
    });
    expect(await client.data('ping')).toBeDefined();
  });

  test('above 128 KB close the connection with 1009, as API Gateway does', async () => {
    const client = await online('dora');
    client.socket.send('x'.repeat(128 * 1_024 + 1));
    expect(await client.closed).toMatchObject({ code: 1009 });
  });

  test('in a burst above the rate are rejected', async () => {
    const client = await online('dora');
    // More frames than two windows allow, in case a window ends in between.
    const replies = await Promise.all(Array.from({ length: 2 * MAX_FRAMES_PER_WINDOW + 20 }, () => client.ask('ping')));
    const codes = replies.map(({ error }) => error?.code);
    expect(codes.filter((code) => code === undefined).length).toBeGreaterThanOrEqual(MAX_FRAMES_PER_WINDOW);
    expect(codes.filter((code) => code === 'too_many_requests').length).toBeGreaterThanOrEqual(20);
    expect(new Set(codes)).toEqual(new Set([undefined, 'too_many_requests']));
    await expect.poll(async () => (await client.ask('ping')).ok, { timeout: 60_000, interval: 1_000 }).toBe(true);
  });
});

describe('presence', () => {
  const onlineUsers = async (user: string, room_id: string) =>
    v
      .parse(
        v.array(v.object({ participant_id: v.string(), online: v.boolean() })),
        await call(user, 'GET', `/participant/room/${room_id}/participant`),
      )
      .filter((participant) => participant.online)
      .map(({ participant_id }) => participant_id)
      .sort();

  test('shows participants who join, and who leave 10 seconds after their socket was lost', async () => {
    const { room_id, alice, bob } = await newRoom();
    const a = await joined(alice, room_id);
    await a.waitFor(room_id, 'peer_joined');
    const b = await joined(bob, room_id);
    expect(await a.waitFor(room_id, 'peer_joined', 2)).toMatchObject([
      { data: { participant_id: alice, username: null } },
      { data: { participant_id: bob } },
    ]);
    expect(await onlineUsers(alice, room_id)).toEqual([alice, bob]);
    const died = Date.now();
    b.kill();
    expect(await a.waitFor(room_id, 'peer_left')).toMatchObject([{ data: { participant_id: bob, username: null } }]);
    // No upper bound: a busy machine can take longer.
    expect(Date.now() - died).toBeGreaterThanOrEqual(9_000);
    expect(await onlineUsers(alice, room_id)).toEqual([alice]);
  });

  test('ignores a reconnect within 10 seconds, and counts several tabs as one peer', async () => {
    const { room_id, alice, bob, carol } = await newRoom();
    const a = await joined(alice, room_id);
    const tabs = [await joined(bob, room_id), await joined(bob, room_id)];
    const c = await joined(carol, room_id);
    await a.waitFor(room_id, 'peer_joined', 3);
    // Both tabs of Bob are lost. One of them reconnects.
    tabs[0]?.kill();
    tabs[1]?.kill();
    const back = await joined(bob, room_id);
    // Carol disconnects after Bob's reconnect. When her departure is reported, Bob's 10 seconds are over as well.
    c.kill();
    expect(await a.waitFor(room_id, 'peer_left')).toMatchObject([{ data: { participant_id: carol } }]);
    expect(a.events(room_id, 'peer_joined')).toHaveLength(3);
    expect(a.events(room_id, 'peer_left')).toHaveLength(1);
    expect(await onlineUsers(alice, room_id)).toEqual([alice, bob]);
    await say(a, room_id, 'Still there?');
    await back.waitFor(room_id, 'message');
  });
});

describe('events of a room', () => {
  test('report added and removed participants, and close the sockets of the removed', async () => {
    const { room_id, alice, bob } = await newRoom();
    const dave = `dave-${randomUUID()}`;
    const [a, b] = [await joined(alice, room_id), await joined(bob, room_id)];
    await call(alice, 'POST', `/admin/room/${room_id}/participant`, { participant_ids: [dave] });
    const data = { participant_id: dave, username: null, archive_room: false, role: 'member' };
    for (const client of [a, b])
      await expect
        .poll(() => client.events(room_id, 'participant_added'), { timeout: 60_000 })
        .toContainEqual(expect.objectContaining({ data }));

    // Bob's connection in another room stays open.
    const other = await newRoom({ participant_ids: [bob] });
    const elsewhere = await joined(bob, other.room_id);
    await call(alice, 'DELETE', `/admin/room/${room_id}/participant`, { participant_ids: [bob] });
    expect(await a.waitFor(room_id, 'participant_removed')).toMatchObject([
      { data: { participant_id: bob, reason: 'removed' } },
    ]);
    expect(await a.waitFor(room_id, 'peer_left')).toMatchObject([{ data: { participant_id: bob } }]);
    expect(await b.closed).toMatchObject({ code: 1000 });
    expect(await elsewhere.data('ping')).toBeDefined();
    expect(await elsewhere.refusal('join', { room_id })).toBe('not_a_participant');
    const fields = { room_id, client_message_id: randomUUID(), text: 'I was removed' };
    expect(await elsewhere.refusal('message', fields)).toBe('not_a_participant');
    await say(a, room_id, 'Among us');
    await a.waitFor(room_id, 'message');
    expect(textsOf(b, room_id)).toEqual([]);
  });

  test('report rights, profiles and changes of the room', async () => {
    const { room_id, alice, bob } = await newRoom();
    const [a, b] = [await joined(alice, room_id), await joined(bob, room_id)];
    const steps: [change: () => Promise<unknown>, data: object][] = [
      [
        () => call(alice, 'POST', `/admin/room/${room_id}/participant/${bob}/admin`),
        { participant_id: bob, is_admin: true },
      ],
      [
        () => call(alice, 'DELETE', `/admin/room/${room_id}/participant/${bob}/admin`),
        { participant_id: bob, is_admin: false },
      ],
      [
        () => call(bob, 'PATCH', `/participant/room/${room_id}/userprofile`, { username: 'Bob 🦊' }),
        { participant_id: bob, username: 'Bob 🦊' },
      ],
      [
        () => call(bob, 'PATCH', `/participant/room/${room_id}/userprofile`, { archive_room: true }),
        { participant_id: bob, archive_room: true },
      ],
    ];
    for (const [index, [change, data]] of steps.entries()) {
      await change();
      for (const client of [a, b])
        expect((await client.waitFor(room_id, 'participant_updated', index + 1))[index]?.data).toEqual(data);
    }
    const renamed = await call(alice, 'POST', `/admin/room/${room_id}`, { name: 'Retro' });
    for (const client of [a, b])
      expect(await client.waitFor(room_id, 'room_updated')).toMatchObject([{ data: renamed as object }]);
    // Events of the creation can arrive after an early join.
    const before = ['room_created', 'participant_added'];
    const types = a.events(room_id).map(({ type }) => type ?? '');
    expect(types.filter((type) => !before.includes(type))).toEqual([
      'peer_joined',
      'peer_joined',
      ...Array.from({ length: 4 }, () => 'participant_updated'),
      'room_updated',
    ]);
  });

  test('report its end, and close its connections', async () => {
    const { room_id, alice, bob } = await newRoom();
    const both = [await joined(alice, room_id), await joined(bob, room_id)];
    await call(alice, 'DELETE', `/admin/room/${room_id}`, { reason: 'Shift is over' });
    for (const client of both) {
      expect(await client.closed).toMatchObject({ code: 1000 });
      expect(client.events(room_id, 'room_ended')).toMatchObject([
        { data: { room_id, status: 'ended', end_reason: 'Shift is over' } },
      ]);
    }
  });

  test('report a booked start and end when their time comes', async () => {
    const start_time = new Date(Date.now() + 4_000).toISOString();
    const end_time = new Date(Date.now() + 14_000).toISOString();
    const { room_id, bob } = await newRoom({ start_time, end_time });
    const types = async () => (await onBus(room_id)).map((event) => event['detail-type']);
    await expect.poll(types, WAIT).toContain('room_started');
    const client = await joined(bob, room_id);
    expect(await client.closed).toMatchObject({ code: 1000 });
    expect(client.events(room_id, 'room_ended')).toMatchObject([{ data: { room_id, status: 'ended' } }]);
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(end_time));
    expect((await types()).filter((type) => type === 'room_started')).toHaveLength(1);
  });

  test('follow changes of times: the old end is not announced, the new one is', async () => {
    const end_time = new Date(Date.now() + 6_000).toISOString();
    const { room_id, alice, bob } = await newRoom({ end_time });
    const client = await joined(bob, room_id);
    const later = new Date(Date.parse(end_time) + 6_000).toISOString();
    await call(alice, 'POST', `/admin/room/${room_id}`, { end_time: later });
    expect(await client.waitFor(room_id, 'room_updated')).toMatchObject([{ data: { end_time: later } }]);
    const [ended] = await client.waitFor(room_id, 'room_ended');
    expect(ended).toMatchObject({ data: { end_time: later, status: 'ended' } });
    await client.closed;
    expect(client.events(room_id, 'room_ended')).toHaveLength(1);
  });

  test('are also published on the event bus, except chat and presence', async () => {
    const { room_id, alice, bob, carol } = await newRoom();
    const a = await joined(alice, room_id);
    await say(a, room_id, 'Nobody else’s business');
    await call(alice, 'DELETE', `/admin/room/${room_id}/participant`, { participant_ids: [carol] });
    await call(bob, 'PATCH', `/participant/room/${room_id}/userprofile`, { username: 'Bob' });
    await call(alice, 'DELETE', `/admin/room/${room_id}`);
    await a.closed;
    const types = async () => (await onBus(room_id)).map((event) => event['detail-type']).sort();
    await expect
      .poll(types, WAIT)
      .toEqual([
        ...['participant_added', 'participant_added', 'participant_added', 'participant_removed'],
        ...['participant_updated', 'room_created', 'room_ended'],
      ]);
    const ofType = async (type: string) => (await onBus(room_id)).find((each) => each['detail-type'] === type);
    expect(await ofType('room_created')).toMatchObject({ 'event-bus': 'rooms-local', source: 'rooms' });
    expect((await ofType('participant_removed'))?.detail.data).toEqual({ participant_id: carol, reason: 'removed' });
  });
});

describe('the connection management endpoint', () => {
  const client = () =>
    new ApiGatewayManagementApiClient({
      endpoint: stack.ws.replace(/^ws/, 'http'),
      region: 'us-east-1',
      credentials: { accessKeyId: 'x', secretAccessKey: 'x' },
      maxAttempts: 1,
    });

  test("reports a closed connection, and a frame that is too large, as the SDK's exceptions", async () => {
    const post = (Data: string) =>
      client().send(new PostToConnectionCommand({ ConnectionId: 'AAAAAAAAAAAAAA=', Data }));
    await expect(post('{}')).rejects.toMatchObject({ name: 'GoneException', $metadata: { httpStatusCode: 410 } });
    await expect(post('x'.repeat(128 * 1_024 + 1))).rejects.toMatchObject({
      name: 'PayloadTooLargeException',
      $metadata: { httpStatusCode: 413 },
    });
  });

  test('rejects unsigned requests', async () => {
    const url = `${stack.ws.replace(/^ws/, 'http')}/@connections/AAAAAAAAAAAAAA=`;
    expect((await fetch(url, { method: 'POST', body: '{}' })).status).toBe(403);
  });
});
