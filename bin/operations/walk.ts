import { type DynamoDBDocumentClient, ScanCommand, type ScanCommandInput } from '@aws-sdk/lib-dynamodb';
import * as v from 'valibot';
import { UsageError } from '../../tools/cli/usage-error.ts';

/*
 * Reads the whole table: a scan, page by page, at a bounded rate. One scan at a time keeps its place in one cursor.
 */

export interface WalkOptions {
  /** Read units of the table that are used in a second, at most. A page of 1 MB takes 128. */
  readonly readUnits: number;
  /** Where to go on: the cursor of an earlier walk. */
  readonly from?: string | undefined;
  /** Aborting ends the walk after the page that is at hand. */
  readonly signal: AbortSignal;
}

export interface Page {
  readonly items: readonly Readonly<Record<string, unknown>>[];
  /** Items read, also those that a filter has left out. */
  readonly scanned: number;
  /** Where another walk can go on behind this page. Undefined: this page is the last. */
  readonly cursor: string | undefined;
}

const key = v.strictObject({ PK: v.string(), SK: v.string() });
type LastKey = ScanCommandInput['ExclusiveStartKey'];

const encode = (last: LastKey): string | undefined => last && Buffer.from(JSON.stringify(last)).toString('base64url');

function decode(cursor: string): v.InferOutput<typeof key> {
  try {
    return v.parse(key, JSON.parse(Buffer.from(cursor, 'base64url').toString()));
  } catch {
    throw new UsageError(`${JSON.stringify(cursor)} is no cursor of an earlier run.`);
  }
}

/**
 * Reads a table page by page. The reads are eventually consistent: read an item again before you act on it.
 *
 * @throws UsageError for a cursor that is none
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
    if (start) await pauseFor(due - (performance.now() - began), signal);
  } while (start && !signal.aborted);
}

/** Waits, unless there is nothing to wait for; ends early, and without an error, when the signal is aborted. */
function pauseFor(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (milliseconds <= 0 || signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener('abort', done);
  });
}
