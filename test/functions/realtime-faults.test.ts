import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { ParticipantItem } from '../../core/store/items.ts';
import { connectionKey, participantKey } from '../../core/store/keys.ts';
import { get } from '../../core/store/read.ts';
import { handler as deliverMessages } from '../../functions/events/deliver-messages.ts';
import { canceled, exception, type FaultyDynamoDb, startFaultyDynamoDb } from '../support/faulty-dynamodb.ts';
import { data } from '../support/invoke.ts';
import { watchSockets } from '../support/known-sockets.ts';
import { type Management, startManagement } from '../support/management.ts';
import { runEventFunction } from '../support/run-event-function.ts';
import { invokeAction, joined, newSocket, refusedWith, reply } from '../support/socket.ts';
import { messagesIn, recorded } from '../support/stream.ts';
import { newRoom, type World } from '../support/world.ts';

let faults: FaultyDynamoDb;
let management: Management;
let world: World;
beforeAll(async () => {
  faults = await startFaultyDynamoDb(process.env.AWS_ENDPOINT_URL_DYNAMODB ?? '');
  // The client reads this variable at its first request.
  process.env.AWS_ENDPOINT_URL_DYNAMODB = faults.url;
  management = await startManagement();
  process.env.CALLBACK_URL = management.url;
  world = await newRoom();
});
const known = watchSockets(() => management);
afterEach(() => {
  known.check();
  faults.reset();
  management.reset();
});
afterAll(() => Promise.all([faults.close(), management.close()]));

const conflict = canceled('TransactionConflict', 'None');
const message = () => ({ room_id: world.room_id, client_message_id: crypto.randomUUID(), text: 'x' });

describe('a conflict with another transaction', () => {
  test('is retried by message, join and leave', async () => {
    const socket = newSocket(world.member);
    known.left(socket.connection_id);
    faults.next('TransactWriteItems', conflict, conflict, conflict);
    await reply('message', socket, message());
    faults.next('TransactWriteItems', conflict, conflict);
    await reply('join', socket, { room_id: world.room_id });
    // The first update counts the frame, so the second one fails.
    faults.next('UpdateItem', undefined, exception('TransactionConflictException'));
    faults.next('DeleteItem', exception('TransactionConflictException'));
    await reply('leave', socket, { room_id: world.room_id });
    expect(await get<ParticipantItem>(participantKey(world.room_id, world.member))).not.toHaveProperty('connections');
  });

  test('of a leave with other connections of the user becomes try_again if it persists', async () => {
    const { room_id, member } = await newRoom();
    const socket = await joined(room_id, member);
    const others = { connections: { SS: [socket.connection_id, 'another='] } };
    const refused = exception('ConditionalCheckFailedException', { Item: others });
    faults.reset();
    // The first update counts the frame. Each attempt then makes two updates: one for a last connection, one for a
    // connection among several.
    faults.next('UpdateItem', undefined, ...Array(40).fill(refused));
    expect(await refusedWith('leave', socket, { room_id })).toBe('try_again');
    expect(faults.reset()).toMatchObject({ UpdateItem: 1 + 2 * 8 });
    await known.expectKnown(room_id, [socket.connection_id]);
  });

  test('that persists becomes try_again', async () => {
    faults.always('TransactWriteItems', conflict);
    expect(await refusedWith('message', newSocket(world.member), message())).toBe('try_again');
  });
});

test.each<[string, string, 'try_again' | 'internal']>([
  ['throttles', 'ThrottlingException', 'try_again'],
  ['fails', 'InternalServerError', 'try_again'],
  ['denies the access', 'AccessDeniedException', 'internal'],
])('if DynamoDB %s, every action reports it in its reply, with the request id', async (_, name, code) => {
  const fault = exception(name, {}, name === 'InternalServerError' ? 500 : 400);
  for (const action of ['BatchGetItem', 'GetItem', 'UpdateItem', 'TransactWriteItems']) faults.always(action, fault);
  const socket = newSocket(world.member);
  known.left(socket.connection_id);
  for (const [action, frame] of [
    ['join', { room_id: world.room_id }],
    ['leave', { room_id: world.room_id }],
    ['message', message()],
    ['ping', {}],
  ] as const) {
    const answer = await invokeAction(action, socket, { ...frame, request_id: action });
    expect(answer).toMatchObject({
      ok: false,
      code,
      request_id: action,
      log: { level: 'error', entry: { error: { name } } },
    });
    if (!answer.ok) expect(answer.message).not.toMatch(/injected|Exception/);
  }
});

test('if a function dies between storing and replying, the sender retries, all receive the message, and it is stored once', async () => {
  const { room_id, admin, member } = await newRoom();
  const listener = await joined(room_id, admin);
  const frame = { ...message(), room_id };
  const records = await recorded(async () => {
    // DynamoDB applies the write, but neither the SDK, which retries it, nor the sender receives a response.
    faults.always('TransactWriteItems', 'lose the answer');
    expect(await invokeAction('message', newSocket(member), frame)).toMatchObject({ ok: false });
    faults.reset();
    await reply('message', newSocket(member), frame);
  });
  const again = await reply('message', newSocket(member), frame);
  expect(await data('listMessages', { as: member, params: { room_id } })).toEqual([again]);
  await runEventFunction('deliver-messages', (context) => deliverMessages(messagesIn(records), context));
  expect(management.received(listener.connection_id).map((event) => event.data)).toEqual([again]);
});

describe('deliver-messages', () => {
  const send = (...texts: string[]) =>
    recorded(async () => {
      for (const text of texts) await reply('message', newSocket(world.admin), { ...message(), text });
    });
  const deliver = async (records: Awaited<ReturnType<typeof send>>) => {
    const { result } = await runEventFunction('deliver-messages', (context) =>
      deliverMessages(messagesIn(records), context),
    );
    return result.batchItemFailures.map(({ itemIdentifier }) => itemIdentifier);
  };

  test('delivers everything once even if it cannot remove a dead connection', async () => {
    const [dead, alive] = [await joined(world.room_id, world.member), await joined(world.room_id, world.admin)];
    management.respondWith(dead.connection_id, 410);
    const records = await send('one');
    faults.always('DeleteItem', exception('AccessDeniedException'));
    expect(await deliver(records)).toEqual([]);
    expect(management.received(alive.connection_id)).toHaveLength(1);
    faults.reset();
    // The next delivery removes the item.
    expect(await deliver(await send('two'))).toEqual([]);
    expect((await get<ParticipantItem>(participantKey(world.room_id, world.member)))?.connections).toBeUndefined();
    expect(await get(connectionKey(world.room_id, dead.connection_id))).toBeUndefined();
  });

  test('is retried from the first record of the room if it cannot read the connections', async () => {
    const alive = await joined(world.room_id, world.member);
    const records = await send('one', 'two');
    faults.always('Query', exception('AccessDeniedException'));
    expect(await deliver(records)).toEqual([messagesIn(records).Records[0]?.dynamodb?.SequenceNumber]);
    faults.reset();
    expect(await deliver(records)).toEqual([]);
    expect(management.received(alive.connection_id).map((event) => event.data.text)).toEqual(['one', 'two']);
  });
});
