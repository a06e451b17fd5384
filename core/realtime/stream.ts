import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { unmarshall } from '@aws-sdk/util-dynamodb';
import type { DynamoDBBatchResponse, DynamoDBRecord } from 'aws-lambda';
import { logError } from '../platform/log.ts';
import type { Key } from '../store/keys.ts';

/*
 * Processes a batch of stream records. Records of one partition (a room, its chat) are processed in order, and
 * partitions do not wait for each other.
 */

type Image = NonNullable<DynamoDBRecord['dynamodb']>['NewImage'];

/** Returns the item in a stream record. Like reads, it assumes that items have the shapes of items.ts. */
export const imageOf = <Item extends Key>(image: Image): Item | undefined =>
  // The types of stream and SDK differ only for binary values, which our items do not have.
  image && (unmarshall(image as Record<string, AttributeValue>) as Item);

/** The key of the item that a record is about. */
export const keyOf = ({ dynamodb }: DynamoDBRecord): Key => ({
  PK: dynamodb?.Keys?.PK?.S ?? '',
  SK: dynamodb?.Keys?.SK?.S ?? '',
});

/**
 * Records that were processed in batches that failed for another reason. Lambda retries such a batch from the first
 * failed record, usually in the same process. The processed records after it are skipped.
 */
const done = new Set<string>();
/** More than the pending batches of a process can contain. Each ID takes about 40 bytes. */
const MAX_DONE = 10_000;

const sequenceOf = (record: DynamoDBRecord | undefined): string => record?.dynamodb?.SequenceNumber ?? '';

const idOf = ({ eventID, dynamodb }: DynamoDBRecord): string => eventID ?? dynamodb?.SequenceNumber ?? '';

/**
 * Parses each record with `read`, which must be synchronous, and passes the records of each partition to `work`,
 * together and in order. If a record cannot be read, only the earlier records of its partition are processed.
 *
 * If either fails, Lambda retries from there with ever smaller batches. In the end, it writes the failing record to the
 * dead-letter queue.
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
