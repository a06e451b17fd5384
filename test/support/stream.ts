import { randomUUID } from 'node:crypto';
import {
  DescribeStreamCommand,
  DynamoDBStreamsClient,
  GetRecordsCommand,
  GetShardIteratorCommand,
  ListStreamsCommand,
  type _Record as StreamRecord,
} from '@aws-sdk/client-dynamodb-streams';
import { DeleteCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import type { DynamoDBRecord, DynamoDBStreamEvent } from 'aws-lambda';
import { dynamodb, tableName } from '../../core/store/client.ts';

/*
 * The stream of the test's table: what DynamoDB Local wrote there about changes, as Lambda hands it to a function.
 */

let client: DynamoDBStreamsClient | undefined;
const streams = () => {
  client ??= new DynamoDBStreamsClient({ endpoint: process.env.AWS_ENDPOINT_URL_DYNAMODB ?? '' });
  return client;
};

/** Iterators to the end of each shard, as it is now. */
async function ends(): Promise<string[]> {
  const { Streams = [] } = await streams().send(new ListStreamsCommand({ TableName: tableName() }));
  const StreamArn = Streams[0]?.StreamArn;
  const { StreamDescription } = await streams().send(new DescribeStreamCommand({ StreamArn }));
  return Promise.all(
    (StreamDescription?.Shards ?? []).map(async ({ ShardId }) => {
      const { ShardIterator = '' } = await streams().send(
        new GetShardIteratorCommand({ StreamArn, ShardId, ShardIteratorType: 'LATEST' }),
      );
      return ShardIterator;
    }),
  );
}

/** As Lambda writes it: JSON, so bytes would be base64, and times are epoch seconds. No item of ours has bytes. */
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

/** Does `work`, and answers with the records that its changes left in the stream, in order. */
export async function recorded(work: () => Promise<unknown>): Promise<DynamoDBRecord[]> {
  let iterators = await ends();
  await work();
  // The end is where a change of ours shows that nothing else made.
  const Key = { PK: `END#${randomUUID()}`, SK: 'END' };
  await dynamodb.send(new PutCommand({ TableName: tableName(), Item: Key }));
  await dynamodb.send(new DeleteCommand({ TableName: tableName(), Key }));
  const records: DynamoDBRecord[] = [];
  for (;;) {
    const pages = await Promise.all(
      iterators.map((ShardIterator) => streams().send(new GetRecordsCommand({ ShardIterator }))),
    );
    const found = pages.flatMap(({ Records = [] }) => Records.map(lambdaRecord));
    records.push(...found);
    if (found.some(({ dynamodb }) => dynamodb?.Keys?.PK?.S === Key.PK))
      return records
        .filter(({ dynamodb }) => !dynamodb?.Keys?.PK?.S?.startsWith('END#'))
        .sort((a, b) => (BigInt(a.dynamodb?.SequenceNumber ?? 0) < BigInt(b.dynamodb?.SequenceNumber ?? 0) ? -1 : 1));
    iterators = pages.flatMap(({ NextShardIterator }) => NextShardIterator ?? []);
  }
}

const sortKey = ({ dynamodb }: DynamoDBRecord): string => dynamodb?.Keys?.SK?.S ?? '';

/** What the filter of deliver-messages lets through. */
export const messagesIn = (records: readonly DynamoDBRecord[]): DynamoDBStreamEvent => ({
  Records: records.filter((record) => record.eventName === 'INSERT' && sortKey(record).startsWith('MESSAGE#')),
});

/** What the filter of room-changes lets through. */
export const changesIn = (records: readonly DynamoDBRecord[]): DynamoDBStreamEvent => ({
  Records: records.filter((record) => sortKey(record) === 'ROOM' || sortKey(record).startsWith('PARTICIPANT#')),
});
