import { type DynamoDBDocumentClient, ScanCommand, type ScanCommandInput } from '@aws-sdk/lib-dynamodb';
import * as v from 'valibot';
import { wait } from '../../core/platform/deadline.ts';
import { UsageError } from '../../tools/cli/usage-error.ts';

/*
 * Scans the whole table page by page at a limited rate. There is only one scan at a time, so one cursor is
 * enough.
 */

export interface WalkOptions {
  /** The maximum read units per second. A page of 1 MB takes 128. */
  readonly readUnits: number;
  /** The cursor of an earlier scan from which to continue. */
  readonly from?: string | undefined;
  /** Aborting ends the scan after the current page. */
  readonly signal: AbortSignal;
}

export interface Page {
  readonly items: readonly Readonly<Record<string, unknown>>[];
  /** Number of items read, including those that the filter excluded. */
  readonly scanned: number;
  /** Cursor from which another scan can continue after this page. Undefined if this page is the last. */
  readonly cursor: string | undefined;
}

const key = v.strictObject({ PK: v.string(), SK: v.string() });
type LastKey = ScanCommandInput['ExclusiveStartKey'];

const encode = (last: LastKey): string | undefined => last && Buffer.from(JSON.stringify(last)).toString('base64url');

function decode(cursor: string): v.InferOutput<typeof key> {
  try {
    return v.parse(key, JSON.parse(Buffer.from(cursor, 'base64url').toString()));
  } catch {
    throw new UsageError(`${JSON.stringify(cursor)} is not a cursor of an earlier run.`);
  }
}

/**
 * Reads a table page by page. The reads are eventually consistent, so read an item again before you change it.
 *
 * @throws UsageError for an invalid cursor
 */
export async function* walk(
  dynamodb: DynamoDBDocumentClient,
  scan: Omit<ScanCommandInput, 'ExclusiveStartKey' | 'ReturnConsumedCapacity'>,
  { readUnits, from, signal }: WalkOptions,
): AsyncGenerator<Page> {
  let start: LastKey = from === undefined ? undefined : decode(from);
  do {
    const began = performance.now();
    const page = await dynamodb.send(
      new ScanCommand({ ...scan, ReturnConsumedCapacity: 'TOTAL', ...(start && { ExclusiveStartKey: start }) }),
    );
    start = page.LastEvaluatedKey;
    yield { items: page.Items ?? [], scanned: page.ScannedCount ?? 0, cursor: encode(start) };
    const due = (1_000 * (page.ConsumedCapacity?.CapacityUnits ?? 0)) / readUnits;
    if (start) await wait(due - (performance.now() - began), signal);
  } while (start && !signal.aborted);
}
