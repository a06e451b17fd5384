import { randomUUID } from 'node:crypto';
import { DynamoDBClient, UpdateTableCommand } from '@aws-sdk/client-dynamodb';
import {
  DescribeStreamCommand,
  DynamoDBStreamsClient,
  GetRecordsCommand,
  GetShardIteratorCommand,
  ListStreamsCommand,
  type _Record as StreamRecord,
  TrimmedDataAccessException,
} from '@aws-sdk/client-dynamodb-streams';
import { PutCommand } from '@aws-sdk/lib-dynamodb';
import type { DynamoDBRecord, DynamoDBStreamEvent } from 'aws-lambda';
import { inject } from 'vitest';
import { dynamodb, tableName } from '../../core/store/client.ts';

/*
 * The stream of the test's table: reads the records that DynamoDB Local wrote, in the format in which Lambda passes
 * them to functions.
 */

let client: DynamoDBStreamsClient | undefined;
const streams = () => {
  client ??= new DynamoDBStreamsClient({ endpoint: process.env.AWS_ENDPOINT_URL_DYNAMODB ?? '' });
  return client;
};

let enabled: Promise<string> | undefined;
/** The ARN of the table's stream. The first call enables it. */
const streamArn = (): Promise<string> => {
  enabled ??= (async () => {
    const StreamSpecification = { StreamEnabled: true, ...inject('table').StreamSpecification };
    const client = new DynamoDBClient({ endpoint: process.env.AWS_ENDPOINT_URL_DYNAMODB ?? '' });
    await client.send(new UpdateTableCommand({ TableName: tableName(), StreamSpecification }));
    client.destroy();
    const { Streams = [] } = await streams().send(new ListStreamsCommand({ TableName: tableName() }));
    return Streams[0]?.StreamArn ?? '';
  })();
  return enabled;
};

/** Returns an iterator for each shard. */
async function iteratorsAt(ShardIteratorType: 'LATEST' | 'TRIM_HORIZON'): Promise<string[]> {
  const StreamArn = await streamArn();
  const { StreamDescription } = await streams().send(new DescribeStreamCommand({ StreamArn }));
  return Promise.all(
    (StreamDescription?.Shards ?? []).map(async ({ ShardId }) => {
      const { ShardIterator = '' } = await streams().send(
        new GetShardIteratorCommand({ StreamArn, ShardId, ShardIteratorType }),
      );
      return ShardIterator;
    }),
  );
}

/** The position of a record in the stream, in the format of Lambda's dead letters. */
export async function placeOf(record: DynamoDBRecord | undefined) {
  const StreamArn = await streamArn();
  const { StreamDescription } = await streams().send(new DescribeStreamCommand({ StreamArn }));
  const SequenceNumber = record?.dynamodb?.SequenceNumber ?? '';
  for (const { ShardId, SequenceNumberRange } of StreamDescription?.Shards ?? [])
    if (BigInt(SequenceNumberRange?.StartingSequenceNumber ?? 0) <= BigInt(SequenceNumber))
      return { streamArn: StreamArn, shardId: ShardId ?? '', sequenceNumber: SequenceNumber };
  throw new Error(`No shard has ${SequenceNumber}.`);
}

/** Converts a record as Lambda does: to JSON, with times in epoch seconds. Our items contain no binary values. */
const lambdaRecord = (record: StreamRecord): DynamoDBRecord =>
  JSON.parse(
    JSON.stringify({
      ...record,
      eventSourceARN: 'arn:aws:dynamodb:us-east-1:000000000000:table/rooms/stream/2026-01-01T00:00:00.000',
      dynamodb: {
        ...record.dynamodb,
        ApproximateCreationDateTime: Number(record.dynamodb?.ApproximateCreationDateTime) / 1_000,
      },
    }),
  );

/** Writes a marker item that identifies a position in the stream. Returns its partition key. */
async function mark(): Promise<string> {
  const Key = { PK: `MARK#${randomUUID()}`, SK: 'MARK' };
  await dynamodb.send(new PutCommand({ TableName: tableName(), Item: Key }));
  return Key.PK;
}

const partitionKey = ({ dynamodb }: DynamoDBRecord): string => dynamodb?.Keys?.PK?.S ?? '';

async function readUntil(PK: string, start: readonly string[]): Promise<DynamoDBRecord[]> {
  const records: DynamoDBRecord[] = [];
  for (let iterators = start; ; ) {
    const pages = await Promise.all(
      iterators.map((ShardIterator) => streams().send(new GetRecordsCommand({ ShardIterator }))),
    );
    records.push(...pages.flatMap(({ Records = [] }) => Records.map(lambdaRecord)));
    if (records.some((record) => partitionKey(record) === PK))
      return records.sort((a, b) =>
        BigInt(a.dynamodb?.SequenceNumber ?? 0) < BigInt(b.dynamodb?.SequenceNumber ?? 0) ? -1 : 1,
      );
    iterators = pages.flatMap(({ NextShardIterator }) => NextShardIterator ?? []);
  }
}

/** Runs `work`, and returns the stream records of its changes, in order. */
export async function recorded(work: () => Promise<unknown>): Promise<DynamoDBRecord[]> {
  const iterators = await iteratorsAt('LATEST');
  const first = await mark();
  await work();
  const last = await mark();
  const records = await readUntil(last, iterators).catch(async (error: unknown) => {
    // DynamoDB Local throws this at the end of an empty stream.
    if (!(error instanceof TrimmedDataAccessException)) throw error;
    return readUntil(last, await iteratorsAt('TRIM_HORIZON'));
  });
  const at = (PK: string) => records.findIndex((record) => partitionKey(record) === PK);
  return records.slice(at(first) + 1, at(last));
}

const sortKey = ({ dynamodb }: DynamoDBRecord): string => dynamodb?.Keys?.SK?.S ?? '';

/** The records that pass the event filter of deliver-messages. */
export const messagesIn = (records: readonly DynamoDBRecord[]): DynamoDBStreamEvent => ({
  Records: records.filter(
    ({ eventName = 'REMOVE', ...record }) =>
      ['INSERT', 'MODIFY'].includes(eventName) && sortKey(record).startsWith('MESSAGE#'),
  ),
});

/** The records that pass the event filter of room-changes. */
export const changesIn = (records: readonly DynamoDBRecord[]): DynamoDBStreamEvent => ({
  Records: records.filter(
    (record) =>
      sortKey(record) === 'ROOM' ||
      sortKey(record).startsWith('PARTICIPANT#') ||
      (record.eventName === 'INSERT' &&
        ['CONNECTION!', 'WARNED#', 'ANNOUNCED#'].some((prefix) => sortKey(record).startsWith(prefix))),
  ),
});
