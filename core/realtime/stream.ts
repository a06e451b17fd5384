import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { unmarshall } from '@aws-sdk/util-dynamodb';
import type { DynamoDBBatchResponse, DynamoDBRecord } from 'aws-lambda';
import type { Key } from '../store/keys.ts';

/*
 * Working through a batch of the table's stream. Records of one partition (a room, its chat) keep their order; partitions do
 * not wait for each other.
 */

type Image = NonNullable<DynamoDBRecord['dynamodb']>['NewImage'];

/** The item in a stream record. As with reads, what is in the table is taken to have the shapes of items.ts. */
export const imageOf = <Item extends Key>(image: Image): Item | undefined =>
  // The types of stream and SDK differ only in how they spell bytes, and no item has any.
  image && (unmarshall(image as Record<string, AttributeValue>) as Item);

/** The key of the item that a record is about. */
export const keyOf = ({ dynamodb }: DynamoDBRecord): Key => ({
  PK: dynamodb?.Keys?.PK?.S ?? '',
  SK: dynamodb?.Keys?.SK?.S ?? '',
});

/**
 * Hands the records to `work`, those of one partition together and in order. Where it throws, Lambda tries again from that
 * partition's first record, with ever smaller batches, and in the end puts the record that cannot be worked on aside.
 */
export async function perPartition(
  records: readonly DynamoDBRecord[],
  work: (records: readonly DynamoDBRecord[]) => Promise<void>,
): Promise<DynamoDBBatchResponse> {
  const partitions = Map.groupBy(records, (record) => keyOf(record).PK);
  const failures = await Promise.all(
    [...partitions].map(async ([partition, group]) => {
      try {
        await work(group);
        return [];
      } catch (error) {
        console.error({ partition, records: group.length, error: describe(error) });
        const sequence = group[0]?.dynamodb?.SequenceNumber;
        return sequence ? [{ itemIdentifier: sequence }] : [];
      }
    }),
  );
  return { batchItemFailures: failures.flat() };
}

const describe = (error: unknown): object | string =>
  error instanceof Error ? { name: error.name, message: error.message, stack: error.stack } : String(error);
