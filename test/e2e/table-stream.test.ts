import { CreateTableCommand, DeleteItemCommand, DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';
import * as v from 'valibot';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type DynamoDbLocal, startDynamoDb } from '../../local/dynamodb/dynamodb-local.ts';
import type { EventSourceMapping } from '../../local/lambda/event-source-mapping.ts';
import { createStreamMapping } from '../../local/streams/stream-mapping.ts';
import { readStream } from '../../local/streams/stream-reader.ts';
import { compileFilters } from '../../tools/aws/event-pattern.ts';
import { localFunction } from '../support/local-function.ts';

/*
 * Tests the path from a table of DynamoDB Local through its stream to functions.
 */

let dynamodb: DynamoDbLocal;
let client: DynamoDBClient;
beforeAll(async () => {
  dynamodb = await startDynamoDb({ port: 0 });
  client = new DynamoDBClient({
    endpoint: dynamodb.url,
    region: 'us-east-1',
    credentials: { accessKeyId: 'x', secretAccessKey: 'x' },
  });
});
afterAll(async () => {
  client?.destroy();
  await dynamodb?.close();
});
const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const image = v.looseObject({ PK: v.object({ S: v.string() }), SK: v.object({ S: v.string() }) });
const streamEvent = v.object({
  Records: v.array(
    v.looseObject({
      eventName: v.string(),
      eventSourceARN: v.string(),
      dynamodb: v.looseObject({
        Keys: image,
        NewImage: v.optional(image),
        SequenceNumber: v.string(),
        ApproximateCreationDateTime: v.number(),
      }),
    }),
  ),
});
type Records = v.InferOutput<typeof streamEvent>['Records'];

const ARN = 'arn:aws:dynamodb:us-east-1:000000000000:table/rooms/stream/local';
const usual: EventSourceMapping = {
  sourceArn: ARN,
  functionName: 'target',
  batchSize: 100,
  passes: () => true,
  bisect: true,
  retryAttempts: 1,
  maxRecordAgeSeconds: Number.POSITIVE_INFINITY,
  parallelizationFactor: 1,
  startingPosition: 'LATEST',
  reportsItemFailures: true,
  onFailure: 'arn:aws:sqs:us-east-1:000000000000:dead',
  maxConcurrency: 5,
};

let tables = 0;

/**
 * Creates a table with the items `before`, and calls a function for each mapping of its stream. `put` writes an item by the path
 * `<PK>/<SK>`, such as `CHAT#1/MESSAGE#1`.
 */
async function stream(
  mappings: readonly { mapping?: Partial<EventSourceMapping>; act: (records: Records) => unknown }[],
  {
    before = [],
    startingPosition = 'LATEST',
  }: { before?: readonly string[]; startingPosition?: 'LATEST' | 'TRIM_HORIZON' } = {},
) {
  const TableName = `stream-${++tables}`;
  const { TableDescription } = await client.send(
    new CreateTableCommand({
      TableName,
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: [
        { AttributeName: 'PK', AttributeType: 'S' },
        { AttributeName: 'SK', AttributeType: 'S' },
      ],
      KeySchema: [
        { AttributeName: 'PK', KeyType: 'HASH' },
        { AttributeName: 'SK', KeyType: 'RANGE' },
      ],
      StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_AND_OLD_IMAGES' },
    }),
  );
  const discarded: { destination: string; body: unknown }[] = [];
  const log = (): void => {};
  const parts = mappings.map(({ mapping, act }) => {
    const fn = localFunction('target', (event) => act(v.parse(streamEvent, event).Records), 'arn:target');
    return createStreamMapping({
      mapping: { ...usual, ...mapping },
      fn,
      region: 'us-east-1',
      sendToQueue: async (destination, body) => void discarded.push({ destination, body: JSON.parse(body) }),
      log,
    });
  });
  const keyOf = (path: string) => {
    const [PK = '', SK = ''] = path.split('/');
    return { PK: { S: PK }, SK: { S: SK } };
  };
  for (const path of before) await client.send(new PutItemCommand({ TableName, Item: keyOf(path) }));
  const reader = await readStream({
    endpoint: dynamodb.url,
    streamArn: TableDescription?.LatestStreamArn ?? '',
    startingPosition,
    take: (records, shardId) => {
      for (const part of parts) part.take(records, shardId);
    },
    log,
  });
  closers.push(...parts.map((part) => part.close), reader.close);
  return {
    discarded,
    put: (path: string, fields: object = {}) =>
      client.send(new PutItemCommand({ TableName, Item: { ...keyOf(path), ...fields } })),
    remove: (path: string) => client.send(new DeleteItemCommand({ TableName, Key: keyOf(path) })),
  };
}

const pathOf = ({ dynamodb: { Keys } }: Records[number]): string => `${Keys.PK.S}/${Keys.SK.S}`;

describe('the stream of a table', () => {
  test('reaches two functions, each with the records that its filter passes, in Lambda’s format', async () => {
    const [messages, rooms]: [Records, Records] = [[], []];
    const passing = (pattern: object) => ({ passes: compileFilters([JSON.stringify(pattern)]) });
    const { put, remove } = await stream([
      {
        mapping: passing({ eventName: ['INSERT'], dynamodb: { Keys: { SK: { S: [{ prefix: 'MESSAGE#' }] } } } }),
        act: (records) => void messages.push(...records),
      },
      {
        mapping: passing({ dynamodb: { Keys: { SK: { S: ['ROOM'] } } } }),
        act: (records) => void rooms.push(...records),
      },
    ]);
    await put('ROOM#1/ROOM', { bytes: { B: Buffer.from([1, 2]) }, admins: { SS: ['a'] } });
    await put('CHAT#1/MESSAGE#1');
    await put('CHAT#1/SENT#1');
    await put('CHAT#1/MESSAGE#1', { text: { S: 'changed' } });
    await put('CHAT#1/MESSAGE#2');
    await remove('ROOM#1/ROOM');
    await expect.poll(() => rooms.length).toBe(2);
    await expect.poll(() => messages.map(pathOf)).toEqual(['CHAT#1/MESSAGE#1', 'CHAT#1/MESSAGE#2']);
    expect(rooms).toMatchObject([
      {
        eventName: 'INSERT',
        eventSource: 'aws:dynamodb',
        eventSourceARN: ARN,
        dynamodb: { NewImage: { bytes: { B: 'AQI=' }, admins: { SS: ['a'] } }, StreamViewType: 'NEW_AND_OLD_IMAGES' },
      },
      { eventName: 'REMOVE', dynamodb: { OldImage: { PK: { S: 'ROOM#1' } } } },
    ]);
    expect(Math.abs((rooms[0]?.dynamodb.ApproximateCreationDateTime ?? 0) - Date.now() / 1_000)).toBeLessThan(120);
  });

  /** Processes 20 records in each of 8 partitions, in batches that take a random time. Returns the order and the maximum concurrency. */
  async function workOn(parallelizationFactor: number, nameOf: (room: number, count: number) => string) {
    const done: { path: string; number: string }[] = [];
    let [running, most] = [0, 0];
    const { put } = await stream([
      {
        mapping: { parallelizationFactor, batchSize: 3 },
        act: async (records) => {
          running += 1;
          most = Math.max(most, running);
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 20));
          done.push(...records.map((record) => ({ path: pathOf(record), number: record.dynamodb.SequenceNumber })));
          running -= 1;
        },
      },
    ]);
    const rooms = Array.from({ length: 8 }, (_, index) => index);
    for (let count = 10; count < 30; count += 1)
      await Promise.all(rooms.map((room) => put(nameOf(room, count), { count: { N: String(count) } })));
    await expect.poll(() => done.length, { timeout: 30_000 }).toBe(8 * 20);
    /** Whether records with the same `key` were processed in stream order. */
    const isInOrder = (key: (path: string) => string): boolean =>
      [...Map.groupBy(done, ({ path }) => key(path)).values()].every((group) =>
        group.every(({ number }, at) => at === 0 || BigInt(group[at - 1]?.number ?? 0) < BigInt(number)),
      );
    return { isInOrder, most };
  }
  const partition = (path: string) => path.split('/')[0] ?? '';

  test('keeps the order of each partition with one batch at a time', async () => {
    const { isInOrder, most } = await workOn(1, (room, count) => `CHAT#${room}/MESSAGE#${count}`);
    expect(isInOrder(partition)).toBe(true);
    expect(most).toBe(1);
  });

  test('with several batches at a time keeps, like Lambda, only the order of each item', async () => {
    const items = await workOn(10, (room, count) => `ROOM#${room}/PARTICIPANT#${count % 2}`);
    expect(items.isInOrder((path) => path)).toBe(true);
    expect(items.most).toBeGreaterThan(1);
    const messages = await workOn(10, (room, count) => `CHAT#${room}/MESSAGE#${count}`);
    expect(messages.isInOrder(partition)).toBe(false);
  });

  test('sends a record that cannot be processed to the queue, and continues', async () => {
    const done: string[] = [];
    let first = true;
    const { put, discarded } = await stream([
      {
        act: async (records) => {
          // The first invocation takes long enough for the other records to form one batch.
          if (first) await put('CHAT#1/later');
          first = false;
          if (records.some((record) => pathOf(record).endsWith('poison'))) throw new Error('poison');
          done.push(...records.map(pathOf));
        },
      },
    ]);
    for (const name of ['a', 'b', 'poison', 'c', 'd']) await put(`CHAT#1/${name}`);
    await expect
      .poll(() => done, { timeout: 30_000 })
      .toEqual(expect.arrayContaining(['CHAT#1/a', 'CHAT#1/b', 'CHAT#1/c', 'CHAT#1/d', 'CHAT#1/later']));
    expect(done).toHaveLength(5);
    expect(discarded).toMatchObject([
      {
        destination: usual.onFailure,
        body: {
          requestContext: { condition: 'RetryAttemptsExhausted', functionArn: 'arn:target' },
          DDBStreamBatchInfo: { batchSize: 1, streamArn: ARN },
        },
      },
    ]);
  });

  test('continues from the record that was reported', async () => {
    const batches: string[][] = [];
    let failures = 1;
    const { put } = await stream([
      {
        act: async (records) => {
          batches.push(records.map(pathOf));
          const bad = records.find((record) => pathOf(record).endsWith('b'));
          return bad && failures-- > 0
            ? { batchItemFailures: [{ itemIdentifier: bad.dynamodb.SequenceNumber }] }
            : undefined;
        },
      },
    ]);
    for (const name of ['a', 'b', 'c']) await put(`CHAT#1/${name}`);
    const all = () => batches.flat();
    const times = (path: string) => all().filter((each) => each === path).length;
    await expect.poll(() => [times('CHAT#1/b'), all().at(-1)]).toEqual([2, 'CHAT#1/c']);
    expect(times('CHAT#1/a')).toBe(1);
  });

  test('drops records that are too old', async () => {
    const { put, discarded } = await stream([
      { mapping: { maxRecordAgeSeconds: -60 }, act: () => Promise.reject(new Error('never asked')) },
    ]);
    await put('CHAT#1/a');
    await expect
      .poll(() => discarded)
      .toMatchObject([{ body: { requestContext: { condition: 'RecordAgeExceeded' } } }]);
  });

  test.each([
    ['TRIM_HORIZON', ['CHAT#1/before', 'CHAT#1/after']],
    ['LATEST', ['CHAT#1/after']],
  ] as const)('is read from %s', async (startingPosition, expected) => {
    const seen: string[] = [];
    const { put } = await stream([{ act: (records) => void seen.push(...records.map(pathOf)) }], {
      before: ['CHAT#1/before'],
      startingPosition,
    });
    await put('CHAT#1/after');
    await expect.poll(() => seen.at(-1)).toBe('CHAT#1/after');
    expect(seen).toEqual(expected);
  });
});
