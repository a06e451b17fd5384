import type { DynamoDBRecord } from 'aws-lambda';
import { describe, expect, test } from 'vitest';
import { processByPartition } from '../../core/realtime/stream.ts';
import { logged } from '../support/logs.ts';

const record = (PK: string, id: string): DynamoDBRecord => ({
  eventID: id,
  dynamodb: { Keys: { PK: { S: PK }, SK: { S: 'ROOM' } }, SequenceNumber: id },
});
const idOf = ({ eventID }: DynamoDBRecord): string => eventID ?? '';

/**
 * Processes records, of which those of the partition `failing` fail. Returns the IDs of processed and failed records.
 */
async function work(records: readonly DynamoDBRecord[], unreadable?: string) {
  const worked: string[] = [];
  const read = (each: DynamoDBRecord) => {
    if (idOf(each) === unreadable) throw new Error('unreadable');
    return each;
  };
  const { result, lines } = await logged(() =>
    processByPartition(records, read, async (all) => {
      worked.push(...all.map(idOf));
      if (all.some(({ dynamodb }) => dynamodb?.Keys?.PK?.S === 'failing')) throw new Error('work fails');
    }),
  );
  const failed = result.batchItemFailures.map(({ itemIdentifier }) => itemIdentifier);
  return { worked, failed, lines: lines.map(({ entry }) => Object(entry).error.message) };
}

describe('a partition', () => {
  test('with failed work is retried from its first record, even if a later record is unreadable; both are logged', async () => {
    const records = ['a1', 'a2', 'a3'].map((id) => record('failing', id));
    expect(await work(records, 'a2')).toEqual({ worked: ['a1'], failed: ['a1'], lines: ['unreadable', 'work fails'] });
  });

  test('with an unreadable record is processed up to that record, and retried from there', async () => {
    const records = ['b1', 'b2', 'b3'].map((id) => record('b', id));
    expect(await work(records, 'b2')).toEqual({ worked: ['b1'], failed: ['b2'], lines: ['unreadable'] });
    expect(await work(records)).toEqual({ worked: ['b2', 'b3'], failed: [], lines: [] });
  });
});

test('records that were processed in a failed batch are skipped in a retry, but are not remembered forever', async () => {
  const failing = record('failing', 'c0');
  const [first, ...rest] = Array.from({ length: 10_001 }, (_, n) => record('c', `c${n + 1}`));
  if (!first) throw new Error('there is one');
  expect((await work([failing, first, ...rest])).worked).toHaveLength(10_002);
  expect(await work([failing, first])).toMatchObject({ worked: ['c0'], failed: ['c0'] });
  // At most 10,000 processed records are remembered. With more, the failure above dropped all of them.
  expect(await work([failing, first])).toMatchObject({ worked: ['c0', 'c1'], failed: ['c0'] });
});
