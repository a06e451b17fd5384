import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DynamoDBStreamsClient } from '@aws-sdk/client-dynamodb-streams';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { CreateQueueCommand, GetQueueAttributesCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  type Clients,
  type DeadLetter,
  deadLettersOf,
  describe as describeLetter,
  discard,
  redrive,
  release,
  type Target,
} from '../../bin/operations/dead-letters.ts';
import { handler as announce } from '../../functions/events/announce.ts';
import { handler as deliverMessages } from '../../functions/events/deliver-messages.ts';
import { handler as presence } from '../../functions/events/presence.ts';
import { handler as roomChanges } from '../../functions/events/room-changes.ts';
import type { WithDeadLetters } from '../../lib/event-functions.ts';
import { createSqs } from '../../local/sqs/sqs.ts';
import { context } from '../fixtures/event.ts';
import { data } from '../support/invoke.ts';
import { startLambdaApi } from '../support/lambda-api.ts';
import { type Management, startManagement } from '../support/management.ts';
import { type Services, startServices } from '../support/services.ts';
import { disconnect, joined, newSocket, reply } from '../support/socket.ts';
import { changesIn, messagesIn, placeOf, recorded } from '../support/stream.ts';
import { newRoom } from '../support/world.ts';

/* `npm run redrive`, with real queues and the real stream. The functions run behind Lambda's API. */

const closing: (() => Promise<unknown>)[] = [];
let clients: Clients;
let management: Management;
let services: Services;
beforeAll(async () => {
  [management, services] = await Promise.all([startManagement(), startServices()]);
  process.env.CALLBACK_URL = management.url;
  const queues = await createSqs();
  const server = createServer(queues.handle).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const lambda = await startLambdaApi({
    'rooms-deliver-messages': {
      handler: deliverMessages,
      patterns: [{ eventName: ['INSERT'], dynamodb: { Keys: { SK: { S: [{ prefix: 'MESSAGE#' }] } } } }],
    },
    'rooms-room-changes': {
      handler: roomChanges,
      patterns: [{ dynamodb: { Keys: { SK: { S: ['ROOM', { prefix: 'PARTICIPANT#' }] } } } }],
    },
    'rooms-presence': { handler: presence },
    'rooms-announce': { handler: announce },
  });
  clients = {
    sqs: new SQSClient({ endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }),
    lambda: new LambdaClient({ endpoint: lambda.url }),
    streams: new DynamoDBStreamsClient({ endpoint: process.env.AWS_ENDPOINT_URL_DYNAMODB ?? '' }),
  };
  closing.push(management.close, services.close, lambda.close, async () => {
    server.close();
    server.closeAllConnections();
    await queues.close();
  });
});
beforeEach(() => {
  management.reset();
  services.reset();
});
afterAll(() => Promise.all(closing.map((close) => close())));

/** A function whose dead-letter queue has these messages. */
async function lettersFor(name: WithDeadLetters, ...bodies: readonly unknown[]): Promise<Target> {
  const { QueueUrl = '' } = await clients.sqs.send(new CreateQueueCommand({ QueueName: randomUUID() }));
  for (const body of bodies)
    await clients.sqs.send(
      new SendMessageCommand({ QueueUrl, MessageBody: typeof body === 'string' ? body : JSON.stringify(body) }),
    );
  return { name, functionName: `rooms-${name}`, queueUrl: QueueUrl };
}
async function all(target: Target): Promise<DeadLetter[]> {
  const letters: DeadLetter[] = [];
  for await (const letter of deadLettersOf(clients, target)) letters.push(letter);
  return letters;
}
async function redriveAll(target: Target) {
  const outcomes = [];
  for (const letter of await all(target)) outcomes.push(await redrive(clients, target, letter));
  return outcomes;
}
/** The number of messages in a queue, including hidden ones. */
async function left({ queueUrl }: Target): Promise<number> {
  const AttributeNames = ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'] as const;
  const { Attributes = {} } = await clients.sqs.send(
    new GetQueueAttributesCommand({ QueueUrl: queueUrl, AttributeNames: [...AttributeNames] }),
  );
  return AttributeNames.reduce((sum, name) => sum + Number(Attributes[name]), 0);
}

type Record = ReturnType<typeof changesIn>['Records'][number];
/** The dead letter that Lambda writes for stream records that a function could not process. */
async function noteOf(first: Record | undefined, last = first) {
  const [from, to] = [await placeOf(first), await placeOf(last)];
  return {
    requestContext: { requestId: randomUUID(), condition: 'RetryAttemptsExhausted', approximateInvokeCount: 6 },
    version: '1.0',
    DDBStreamBatchInfo: {
      shardId: from.shardId,
      startSequenceNumber: from.sequenceNumber,
      endSequenceNumber: to.sequenceNumber,
      batchSize: 1,
      streamArn: from.streamArn,
    },
  };
}

describe('dead letters', () => {
  test('are listed once each with their subject, and are visible again after release', async () => {
    const bodies = Array.from({ length: 25 }, (_, n) => ({ room_id: `${n}` }));
    const target = await lettersFor('presence', ...bodies);
    const letters = await all(target);
    expect(letters.map(({ body }) => body).sort()).toEqual(bodies.map((body) => JSON.stringify(body)).sort());
    const [letter] = letters;
    if (!letter) throw new Error('there is one');
    expect(describeLetter(target, letter)).toBe(`${letter.sentAt.toISOString()} ${letter.body}`);
    expect(await left(target)).toBe(25);
    expect(await all(target)).toEqual([]);
    for (const each of letters) await release(clients, target, each);
    expect(await all(target)).toHaveLength(25);
  });

  test('of a stream reader contain the position of their changes in the stream', async () => {
    const [record] = changesIn(await recorded(() => newRoom())).Records;
    const target = await lettersFor('room-changes', await noteOf(record));
    const [letter] = await all(target);
    if (!letter) throw new Error('there is one');
    expect(describeLetter(target, letter)).toMatch(/1 change\(s\) at \d+ of shardId-/);
  });

  test('are deleted without an invocation when they are discarded', async () => {
    const target = await lettersFor('announce', { room_id: 'x', moment: 'start', time: 'y' });
    for (const letter of await all(target)) await discard(clients, target, letter);
    expect(await left(target)).toBe(0);
  });
});

describe('redrive', () => {
  test('sends a change once, with current data', async () => {
    const { room_id, admin, member } = await newRoom();
    const listener = await joined(room_id, member);
    const records = await recorded(async () => {
      for (const name of ['one', 'two']) await data('changeRoom', { as: admin, params: { room_id }, body: { name } });
    });
    const target = await lettersFor('room-changes', await noteOf(changesIn(records).Records[0]));
    expect(await redriveAll(target)).toEqual(['taken']);
    const received = management.received(listener.connection_id);
    expect(received.map((event) => [event.type, event.data.name])).toEqual([['room_updated', 'two']]);
    expect(services.events()).toHaveLength(1);
    expect(await left(target)).toBe(0);
  });

  test('delivers the messages of a whole batch in order, and skips other records', async () => {
    const { room_id, admin, member } = await newRoom();
    const listener = await joined(room_id, member);
    const sender = newSocket(admin);
    const say = (text: string) => reply('message', sender, { room_id, client_message_id: randomUUID(), text });
    const records = await recorded(async () => {
      await say('one');
      await data('changeRoom', { as: admin, params: { room_id }, body: { name: 'between' } });
      await say('two');
    });
    const messages = messagesIn(records).Records;
    const target = await lettersFor('deliver-messages', await noteOf(messages[0], messages.at(-1)));
    expect(await redriveAll(target)).toEqual(['taken']);
    expect(management.received(listener.connection_id).map(({ data }) => data.text)).toEqual(['one', 'two']);
  });

  test('marks a participant absent', async () => {
    const { room_id, admin, member } = await newRoom();
    await disconnect(await joined(room_id, member));
    const online = async () =>
      (await data('listParticipants', { as: admin, params: { room_id } })).find(
        ({ participant_id }) => participant_id === member,
      )?.online;
    const records = await recorded(async () => {
      await disconnect(await joined(room_id, member));
    });
    await roomChanges(changesIn(records), context);
    const target = await lettersFor('presence', services.messages.at(-1)?.MessageBody);
    expect(await online()).toBe(true);
    expect(await redriveAll(target)).toEqual(['taken']);
    expect(await online()).toBe(false);
  });

  test('announces a start', async () => {
    const { room_id, admin } = await newRoom();
    const listener = await joined(room_id, admin);
    const { start_time } = await data('getRoom', { as: admin, params: { room_id } });
    const target = await lettersFor('announce', { room_id, moment: 'start', time: start_time });
    expect(await redriveAll(target)).toEqual(['taken']);
    expect(management.received(listener.connection_id)).toMatchObject([{ type: 'room_started' }]);
  });

  test('keeps a dead letter whose function fails again, by crashing or by reporting the failure', async () => {
    Object.assign(services.broken, { events: true, sqs: true });
    const { room_id, admin } = await newRoom();
    const { start_time } = await data('getRoom', { as: admin, params: { room_id } });
    const crashing = await lettersFor('announce', { room_id, moment: 'start', time: start_time });
    const records = changesIn(await recorded(() => newRoom())).Records;
    const reported = await lettersFor('room-changes', await noteOf(records[0], records.at(-1)));
    for (const target of [crashing, reported]) {
      expect(await redriveAll(target)).toEqual(['failed']);
      expect(await left(target)).toBe(1);
    }
  });

  test('keeps a dead letter whose records the stream no longer has, and reports that', async () => {
    const [record] = changesIn(await recorded(() => newRoom())).Records;
    const note = await noteOf(record);
    const { DDBStreamBatchInfo: info } = note;
    const elsewhere = { ...info, streamArn: `${info.streamArn.slice(0, -3)}999` };
    const target = await lettersFor('room-changes', { ...note, DDBStreamBatchInfo: elsewhere });
    expect(await redriveAll(target)).toEqual(['gone']);
    expect(await left(target)).toBe(1);
  });

  test('rejects and keeps a dead letter of another function', async () => {
    const target = await lettersFor('room-changes', { hello: 'world' });
    await expect(redriveAll(target)).rejects.toThrow();
    expect(await left(target)).toBe(1);
  });
});
