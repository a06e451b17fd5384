import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type EventSourceMapping, failedItems } from '../lambda/event-source-mapping.ts';
import type { LocalFunction } from '../lambda/lambda.ts';
import type { Log } from '../log.ts';
import { afterBatch, type Batch, type Failure } from './stream-batch.ts';
import type { StreamRecord, TakeRecords } from './stream-reader.ts';

/** A record of a stream in the format of Lambda. */
export interface LambdaRecord {
  readonly eventID: string | undefined;
  readonly eventName: string | undefined;
  readonly dynamodb: {
    readonly SequenceNumber: string;
    /** Time of the write in epoch seconds. */
    readonly ApproximateCreationDateTime: number;
    readonly Keys: unknown;
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}

/** Converts a record of the SDK to Lambda's JSON, in which dates are epoch seconds and bytes are base64. */
export function lambdaRecord({ dynamodb, ...record }: StreamRecord, sourceArn: string, region: string): LambdaRecord {
  const { ApproximateCreationDateTime: at, SequenceNumber, Keys, NewImage, OldImage, ...others } = dynamodb ?? {};
  return {
    eventID: record.eventID,
    eventName: record.eventName,
    eventVersion: record.eventVersion,
    eventSource: 'aws:dynamodb',
    awsRegion: region,
    ...(record.userIdentity && {
      userIdentity: { type: record.userIdentity.Type, principalId: record.userIdentity.PrincipalId },
    }),
    dynamodb: {
      ...others,
      SequenceNumber: SequenceNumber ?? '',
      ApproximateCreationDateTime: Math.floor((at?.getTime() ?? 0) / 1_000),
      Keys: jsonValue(Keys),
      ...(NewImage && { NewImage: jsonValue(NewImage) }),
      ...(OldImage && { OldImage: jsonValue(OldImage) }),
    },
    eventSourceARN: sourceArn,
  };
}

function jsonValue(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map(jsonValue);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, jsonValue(item)]));
}

export interface StreamMapping {
  readonly take: TakeRecords;
  /** Waits for the batches in progress, and drops all others. */
  close(): Promise<void>;
}

interface Lane {
  readonly waiting: LambdaRecord[];
  running: Promise<void> | undefined;
}

/** The initial wait before a batch is retried, in milliseconds. It doubles each time. */
const FIRST_RETRY_MS = 200;
const LONGEST_RETRY_MS = 30_000;

/**
 * Invokes a function with batches of the stream records that pass the filter, as Lambda does. Processes one batch of a shard
 * at a time or, with a parallelization factor, that many batches in parallel. The records of one item stay in order.
 *
 * @param sendToQueue sends a failure report to the on-failure destination
 */
export function createStreamMapping(options: {
  mapping: EventSourceMapping;
  fn: LocalFunction;
  region: string;
  sendToQueue: (destination: string, body: string) => Promise<void>;
  log: Log;
}): StreamMapping {
  const { mapping, fn, region, sendToQueue, log } = options;
  const controller = new AbortController();
  const { signal } = controller;
  /** The lanes of each shard. Each item belongs to one lane. */
  const lanes = new Map<string, Lane>();

  async function attempt({ items }: Batch<LambdaRecord>): Promise<Failure> {
    const ids = items.map(({ dynamodb }) => dynamodb.SequenceNumber);
    const failed = failedItems(await fn.invoke(JSON.stringify({ Records: items })), ids, mapping.reportsItemFailures);
    if (failed === undefined) return 'all';
    const from = ids.findIndex((id) => failed.has(id));
    return from < 0 ? 'none' : { from };
  }

  async function discard(items: readonly LambdaRecord[], shardId: string, condition: string): Promise<void> {
    const [first, last] = [items[0], items.at(-1)];
    if (!first || !last) return;
    const iso = ({ dynamodb }: LambdaRecord) => new Date(dynamodb.ApproximateCreationDateTime * 1_000).toISOString();
    const report = {
      requestContext: {
        requestId: randomUUID(),
        functionArn: fn.config.arn,
        condition,
        approximateInvokeCount: mapping.retryAttempts + 1,
      },
      responseContext: { statusCode: 200, executedVersion: '$LATEST', functionError: 'Unhandled' },
      version: '1.0',
      timestamp: new Date().toISOString(),
      DDBStreamBatchInfo: {
        shardId,
        startSequenceNumber: first.dynamodb.SequenceNumber,
        endSequenceNumber: last.dynamodb.SequenceNumber,
        approximateArrivalOfFirstRecord: iso(first),
        approximateArrivalOfLastRecord: iso(last),
        batchSize: items.length,
        streamArn: mapping.sourceArn,
      },
    };
    log(
      'stream',
      `${fn.config.name} failed for ${items.length} records (${condition}), which go to ${mapping.onFailure ?? 'no on-failure destination'}: ${JSON.stringify(items.map(({ dynamodb }) => dynamodb.Keys))}`,
    );
    if (mapping.onFailure !== undefined) await sendToQueue(mapping.onFailure, JSON.stringify(report));
  }

  async function work(batch: Batch<LambdaRecord>, shardId: string): Promise<void> {
    const oldest = Date.now() / 1_000 - mapping.maxRecordAgeSeconds;
    const tooOld = batch.items.filter(({ dynamodb }) => dynamodb.ApproximateCreationDateTime < oldest);
    if (tooOld.length > 0) await discard(tooOld, shardId, 'RecordAgeExceeded');
    const current = { ...batch, items: batch.items.filter((item) => !tooOld.includes(item)) };
    if (current.items.length === 0) return;
    const { next, discarded } = afterBatch(current, await attempt(current), mapping);
    if (discarded.length > 0) await discard(discarded, shardId, 'RetryAttemptsExhausted');
    for (const part of next) {
      if (part.retries > 0)
        await sleep(Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** (part.retries - 1)), undefined, { signal });
      await work(part, shardId);
    }
  }

  async function drain(lane: Lane, shardId: string): Promise<void> {
    while (lane.waiting.length > 0 && !signal.aborted) {
      try {
        await work({ items: lane.waiting.splice(0, mapping.batchSize), retries: 0 }, shardId);
      } catch (error) {
        if (!signal.aborted) log('stream', `A batch for ${fn.config.name} was lost: ${String(error)}`);
      }
    }
    // Runs in the same tick as the check of `waiting`, so no record can arrive in between.
    lane.running = undefined;
  }

  return {
    take(records, shardId) {
      for (const raw of records) {
        const record = lambdaRecord(raw, mapping.sourceArn, region);
        if (!mapping.passes(record)) continue;
        const item = JSON.stringify(raw.dynamodb?.Keys);
        const name = `${shardId} ${hash(item) % mapping.parallelizationFactor}`;
        const lane = lanes.get(name) ?? { waiting: [], running: undefined };
        lanes.set(name, lane);
        lane.waiting.push(record);
      }
      for (const lane of lanes.values()) if (lane.waiting.length > 0) lane.running ??= drain(lane, shardId);
    },
    async close() {
      controller.abort();
      await Promise.allSettled([...lanes.values()].map(({ running }) => running));
    },
  };
}

/** Java's string hash: distributes keys to lanes. */
function hash(text = ''): number {
  let value = 0;
  for (let index = 0; index < text.length; index += 1) value = (Math.imul(31, value) + text.charCodeAt(index)) >>> 0;
  return value;
}
