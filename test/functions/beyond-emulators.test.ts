import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import * as v from 'valibot';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { connectionsOf, markDisconnecting } from '../../core/store/connections.ts';
import { connectionKey } from '../../core/store/keys.ts';
import { get } from '../../core/store/read.ts';
import { handler as deliverMessages } from '../../functions/events/deliver-messages.ts';
import { handler as roomChanges } from '../../functions/events/room-changes.ts';
import { sampleCalls } from '../fixtures/samples.ts';
import { type Trace, traced } from '../fixtures/trace.ts';
import { writeItems } from '../fixtures/write-items.ts';
import { exception, type Fault, type FaultyDynamoDb, startFaultyDynamoDb } from '../support/faulty-dynamodb.ts';
import { data, runningOut, succeed } from '../support/invoke.ts';
import { type Management, startManagement } from '../support/management.ts';
import { runEventFunction } from '../support/run-event-function.ts';
import { sampleRoomOf } from '../support/sample-room.ts';
import { type Services, startServices } from '../support/services.ts';
import { disconnect, invokeAction, joined, newSocket, refusedWith, reply } from '../support/socket.ts';
import { changesIn, messagesIn, recorded } from '../support/stream.ts';
import { newRoom } from '../support/world.ts';

/*
 * Behavior of AWS that the emulators lack: pages of 1 MB of small items, eventually consistent reads, and S3's
 * responses to a missing object.
 */

let faults: FaultyDynamoDb;
let management: Management;
let services: Services;
let s3: Server;
/** The status of S3's response to a HEAD request. Each status in `s3First` is used once before it. */
let s3Status: number | 'nothing' = 403;
const s3First: number[] = [];
/** When S3 received each request, in milliseconds. */
const s3Asked: number[] = [];
/** How many requests the client aborted before a response. */
let s3HungUp = 0;
beforeAll(async () => {
  s3 = createServer((_, res) => {
    s3Asked.push(performance.now());
    const status = s3First.shift() ?? s3Status;
    if (status === 'nothing') res.once('close', () => s3HungUp++);
    else res.writeHead(status).end();
  }).listen(0, '127.0.0.1');
  await once(s3, 'listening');
  faults = await startFaultyDynamoDb(process.env.AWS_ENDPOINT_URL_DYNAMODB ?? '');
  [management, services] = await Promise.all([startManagement(), startServices()]);
  // The clients read these variables at their first requests.
  process.env.AWS_ENDPOINT_URL_DYNAMODB = faults.url;
  process.env.AWS_ENDPOINT_URL_S3 = `http://127.0.0.1:${(s3.address() as AddressInfo).port}`;
  process.env.CALLBACK_URL = management.url;
});
afterEach(() => {
  faults.reset();
  management.reset();
});
afterAll(() => {
  s3.close();
  return Promise.all([faults.close(), management.close(), services.close()]);
});

describe('a query of more than 1 MB', () => {
  /** 2.4 MB of connections. DynamoDB counts whole items, even when a query asks for one attribute. */
  async function roomOfConnections() {
    const world = await newRoom();
    const { room_id, member } = world;
    const ids = Array.from({ length: 60 }, (_, n) => `connection-${String(n).padStart(2, '0')}=`);
    await writeItems(
      ids.map((connection_id) => ({
        ...connectionKey(room_id, connection_id),
        room_id,
        connection_id,
        participant_id: member,
        token_expires_at: 4_000_000_000,
        padding: 'x'.repeat(40_000),
      })),
    );
    return { ...world, ids };
  }

  test('finds all connections of a room, and the marked ones', async () => {
    const { room_id, ids } = await roomOfConnections();
    const marked = [ids[0] ?? '', ids.at(-1) ?? ''];
    await markDisconnecting(room_id, marked, new Date().toISOString());
    faults.reset();
    const { live, disconnecting } = await connectionsOf(room_id);
    expect(faults.reset().Query).toBeGreaterThan(2);
    expect(live.map(({ connection_id }) => connection_id)).toEqual(ids.slice(1, -1));
    expect(disconnecting.map(({ connection_id }) => connection_id)).toEqual(marked);
  });

  test('delivers a message to all of them', async () => {
    const { room_id, admin, ids } = await roomOfConnections();
    const frame = { room_id, client_message_id: 'a', text: 'x' };
    const records = await recorded(() => reply('message', newSocket(admin), frame));
    await runEventFunction('deliver-messages', (context) => deliverMessages(messagesIn(records), context));
    expect(management.attempts.toSorted()).toEqual(ids);
  });

  test('delivers nothing if the second page cannot be read, and to each connection once on the retry', async () => {
    const { room_id, admin, ids } = await roomOfConnections();
    const frame = { room_id, client_message_id: 'a', text: 'x' };
    const { Records } = messagesIn(await recorded(() => reply('message', newSocket(admin), frame)));
    const deliver = () => runEventFunction('deliver-messages', (context) => deliverMessages({ Records }, context));
    faults.next('Query', undefined, exception('AccessDeniedException'));
    expect((await deliver()).result.batchItemFailures).toEqual([
      { itemIdentifier: Records[0]?.dynamodb?.SequenceNumber },
    ]);
    expect(management.attempts).toEqual([]);
    expect((await deliver()).result.batchItemFailures).toEqual([]);
    expect(management.attempts.toSorted()).toEqual(ids);
  });

  test('removes a disconnected connection from all of its rooms', async () => {
    const world = await newRoom();
    const rooms = [world, await newRoom({ members: [world.member] }), await newRoom({ members: [world.member] })];
    const socket = newSocket(world.member);
    for (const { room_id } of rooms) await reply('join', socket, { room_id });
    const answer = v.object({ Items: v.array(v.record(v.string(), v.unknown())) });
    /** Returns only the first item and a `LastEvaluatedKey`, as if the page were full. */
    const cut: Fault = (whole) => {
      const [first] = v.parse(answer, whole).Items;
      return { Items: [first], Count: 1, LastEvaluatedKey: keyIn(first) };
    };
    const keyIn = (item: object = {}) =>
      Object.fromEntries(Object.entries(item).filter(([name]) => ['PK', 'SK', 'GSI1PK', 'GSI1SK'].includes(name)));
    faults.next('Query', cut, cut);
    await disconnect(socket);
    for (const { room_id } of rooms) expect(await get(connectionKey(room_id, socket.connection_id))).toBeUndefined();
  });
});

describe('an eventually consistent read', () => {
  const one = v.looseObject({ ConsistentRead: v.literal(true) });
  const several = v.object({ RequestItems: v.record(v.string(), one) });
  const inconsistent = ({ requests: commands, inputs }: Trace): string[] =>
    commands.filter((command, n) => {
      const input = inputs[n];
      if (command === 'BatchGetItem') return !v.is(several, input);
      // An index supports only eventually consistent reads.
      return ['GetItem', 'Query'].includes(command) && !v.is(one, input) && !Object(input).IndexName;
    });

  test('is used only by the list of rooms', async () => {
    s3Status = 204;
    for (const { operation, request } of sampleCalls(await sampleRoomOf(3))) {
      const { trace } = await succeed(operation, request);
      expect({ operation, inconsistent: inconsistent(trace) }).toEqual({
        operation,
        inconsistent: operation === 'listRooms' ? ['BatchGetItem'] : [],
      });
    }
  });

  test('is not used by WebSocket actions or deliveries', async () => {
    const { room_id, admin, member } = await newRoom();
    const socket = newSocket(member);
    const message = { room_id, client_message_id: 'a', text: 'x' };
    const traces: Trace[] = [];
    const records = await recorded(async () => {
      traces.push((await invokeAction('join', socket, { room_id })).trace);
      // The second request reads the message that the first one stored.
      for (let n = 0; n < 2; n++) traces.push((await invokeAction('message', socket, message)).trace);
      await data('endRoom', { as: admin, params: { room_id } });
    });
    traces.push(
      (await runEventFunction('deliver-messages', (within) => deliverMessages(messagesIn(records), within))).trace,
    );
    traces.push((await runEventFunction('room-changes', (within) => roomChanges(changesIn(records), within))).trace);
    traces.push((await traced(() => connectionsOf(room_id))).trace);
    traces.push((await invokeAction('leave', socket, { room_id })).trace);
    expect(traces.flatMap(inconsistent)).toEqual([]);
    expect(traces.flatMap(({ requests: commands }) => commands)).toContain('Query');
  });
});

describe('S3 responds to the check of an attachment with', () => {
  const attachmentMessage = async () => {
    const { room_id, member } = await newRoom();
    const query = { size: 1, content_type: 'text/plain' };
    const { file_id } = await data('createUpload', { as: member, params: { room_id }, query });
    return {
      socket: await joined(room_id, member),
      frame: { room_id, client_message_id: 'a', attachment: { file_id } },
    };
  };

  test.each([
    // Without the permission to list the bucket, S3 responds with 403 instead of 404.
    [403, 'file_not_uploaded'],
    [404, 'file_not_uploaded'],
    [503, 'try_again'],
  ])('%i: the message is rejected with %s', async (status, code) => {
    s3Status = status;
    const { socket, frame } = await attachmentMessage();
    expect(await refusedWith('message', socket, frame)).toBe(code);
  });

  test('200: the message is stored', async () => {
    s3Status = 200;
    const { socket, frame } = await attachmentMessage();
    expect(await reply('message', socket, frame)).toMatchObject({ attachment: frame.attachment });
  });

  test.each([500, 503, 429])(
    '%i, twice: the check is retried after a wait, and the message is stored',
    async (status) => {
      s3Status = 200;
      s3First.push(status, status);
      s3Asked.length = 0;
      const { socket, frame } = await attachmentMessage();
      // Makes the waits between attempts as long as possible: 50 ms and 100 ms.
      const random = vi.spyOn(Math, 'random').mockReturnValue(0.999);
      try {
        expect(await reply('message', socket, frame)).toMatchObject({ attachment: frame.attachment });
      } finally {
        random.mockRestore();
      }
      const [first = 0, second = 0, third = 0, ...more] = s3Asked;
      expect(more).toEqual([]);
      // Timers can fire a few milliseconds early.
      expect(second - first).toBeGreaterThanOrEqual(48);
      expect(third - second).toBeGreaterThanOrEqual(98);
    },
  );

  test('nothing before the invocation ends: the check is aborted, and not retried', async () => {
    s3Status = 'nothing';
    s3Asked.length = 0;
    const { socket, frame } = await attachmentMessage();
    // The caller gets a response after 300 ms. An attempt can take 2 s.
    expect(await invokeAction('message', socket, frame, runningOut(800))).toMatchObject({
      ok: false,
      code: 'try_again',
    });
    await sleep(500);
    expect({ asked: s3Asked.length, hungUp: s3HungUp }).toEqual({ asked: 1, hungUp: 1 });
  });

  test('400: the check is not retried', async () => {
    s3Status = 400;
    s3Asked.length = 0;
    const { socket, frame } = await attachmentMessage();
    expect(await refusedWith('message', socket, frame)).toBe('internal');
    expect(s3Asked).toHaveLength(1);
  });
});
