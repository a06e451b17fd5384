import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { unmarshall } from '@aws-sdk/util-dynamodb';
import type { DynamoDBBatchResponse, DynamoDBRecord } from 'aws-lambda';
import { logError } from '../platform/log.ts';
import type { Key } from '../store/keys.ts';

/*
 * Working through a batch of the table's stream. Records of one partition (a room, its chat) keep their order; partitions do
 * not wait for each other.
 */

type Image = NonNullable<DynamoDBRecord['dynamodb']>['NewImage'];

/** Returns the item in a stream record. Like reads, it assumes that items have the shapes of items.ts. */
export const imageOf = <Item extends Key>(image: Image): Item | undefined =>
  // The types of stream and SDK differ only in how they spell bytes, and no item has any.
  image && (unmarshall(image as Record<string, AttributeValue>) as Item);

/** The key of the item that a record is about. */
export const keyOf = ({ dynamodb }: DynamoDBRecord): Key => ({
  PK: dynamodb?.Keys?.PK?.S ?? '',
  SK: dynamodb?.Keys?.SK?.S ?? '',
});

/**
 * Records that were processed in batches in which something else failed. Lambda retries such a batch from the first
 * failed record, with all records after it, usually in the same process.
 */
const done = new Set<string>();
/** Far more than the batches that a process can be in the middle of; each id is some 40 bytes. */
const MAX_DONE = 10_000;

const sequenceOf = (record: DynamoDBRecord | undefined): string => record?.dynamodb?.SequenceNumber ?? '';

const idOf = ({ eventID, dynamodb }: DynamoDBRecord): string => eventID ?? dynamodb?.SequenceNumber ?? '';

/**
 * Makes something of each record (`read`, which must not wait for anything), and hands it to `work`, that of one partition
 * together and in order. Of a partition with a record that cannot be read, only those before it are worked on.
 *
 * Where either fails, Lambda tries again from there, with ever smaller batches, and in the end puts the record aside that
 * cannot be worked on.
 */
export async function processByPartition<Read>(
  records: readonly DynamoDBRecord[],
  read: (record: DynamoDBRecord) => Read,
  work: (all: readonly Read[]) => Promise<void>,
): Promise<DynamoDBBatchResponse> {
  const fresh = records.filter((record) => !done.has(idOf(record)));
  const partitions = Map.groupBy(fresh, (record) => keyOf(record).PK);
  const finished: string[] = [];
  const failures = await Promise.all(
    [...partitions].map(async ([partition, group]) => {
      const readable: Read[] = [];
      let failedAt: number | undefined;
      const fail = (at: number, error: unknown): void => {
        failedAt = at;
        logError({ partition, records: group.length, failed_at: sequenceOf(group[at]) }, error);
      };
      try {
        for (const record of group) readable.push(read(record));
      } catch (error) {
        fail(readable.length, error);
      }
      try {
        if (readable.length > 0) await work(readable);
        finished.push(...group.slice(0, readable.length).map(idOf));
      } catch (error) {
        fail(0, error);
      }
      return failedAt === undefined ? [] : [{ itemIdentifier: sequenceOf(group[failedAt]) }];
    }),
  );
  const batchItemFailures = failures.flat();
  if (batchItemFailures.length > 0) {
    if (done.size > MAX_DONE) done.clear();
    for (const id of finished) done.add(id);
  }
  return { batchItemFailures };
}
