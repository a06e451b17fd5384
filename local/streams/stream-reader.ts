import { setTimeout as sleep } from 'node:timers/promises';
import {
  DescribeStreamCommand,
  DynamoDBStreamsClient,
  ExpiredIteratorException,
  GetRecordsCommand,
  GetShardIteratorCommand,
  type Shard,
  type _Record as StreamRecord,
  TrimmedDataAccessException,
} from '@aws-sdk/client-dynamodb-streams';
import { REGION } from '../cloudformation/template.ts';
import type { Log } from '../log.ts';
import { CREDENTIALS } from '../s3/s3.ts';

export type { StreamRecord };

/** Receives a shard's records in order. The next ones are read after it has resolved. */
export type TakeRecords = (records: readonly StreamRecord[], shardId: string) => void;

export interface StreamReader {
  /** Polls the shards more often for a moment. Call it when a function may have written to the table. */
  expectRecords(): void;
  close(): Promise<void>;
}

/** Interval between polls of each shard, in milliseconds. It causes most of the delivery latency. */
const POLL_MS = 30;
/** The interval after {@link QUIET_AFTER_MS} without a write. Polling causes most of the CPU usage of an idle stack. */
const QUIET_POLL_MS = 150;
const QUIET_AFTER_MS = 500;
/** Interval between searches for new shards, in milliseconds. A search also runs when a shard ends. */
const DESCRIBE_MS = 10_000;
/** The wait after a failure, in milliseconds. */
const RETRY_MS = 500;

/**
 * Reads a stream of DynamoDB Local. Delivers everything that is written after the promise has resolved and, with `TRIM_HORIZON`,
 * all existing records. A shard is read after its parent, so that the changes of an item stay in order.
 */
export async function readStream(options: {
  endpoint: string;
  streamArn: string;
  startingPosition: 'LATEST' | 'TRIM_HORIZON';
  take: TakeRecords;
  log: Log;
}): Promise<StreamReader> {
  const { endpoint, streamArn, startingPosition, take, log } = options;
  const client = new DynamoDBStreamsClient({ endpoint, region: REGION, credentials: CREDENTIALS });
  const controller = new AbortController();
  const { signal } = controller;
  const running = new Set<Promise<void>>();
  /** All known shards by ID, with whether they have been read to their end. */
  const ended = new Map<string, boolean>();

  let expectedAt = performance.now();
  let wakeUp = new AbortController();
  const expectRecords = (): void => {
    const isQuiet = performance.now() - expectedAt >= QUIET_AFTER_MS;
    expectedAt = performance.now();
    if (!isQuiet) return;
    wakeUp.abort();
    wakeUp = new AbortController();
  };

  /** @throws if the reader is closed. */
  async function untilNextPoll(): Promise<void> {
    const ms = performance.now() - expectedAt < QUIET_AFTER_MS ? POLL_MS : QUIET_POLL_MS;
    await sleep(ms, undefined, { signal: AbortSignal.any([signal, wakeUp.signal]) }).catch(() =>
      signal.throwIfAborted(),
    );
  }

  async function shards(): Promise<Shard[]> {
    const found: Shard[] = [];
    let from: string | undefined;
    do {
      const { StreamDescription: description } = await client.send(
        new DescribeStreamCommand({ StreamArn: streamArn, ExclusiveStartShardId: from }),
        { abortSignal: signal },
      );
      found.push(...(description?.Shards ?? []));
      from = description?.LastEvaluatedShardId;
    } while (from !== undefined);
    return found;
  }

  async function iterator(shardId: string, after: string | undefined, type: 'LATEST' | 'TRIM_HORIZON') {
    const { ShardIterator } = await client.send(
      new GetShardIteratorCommand({
        StreamArn: streamArn,
        ShardId: shardId,
        ...(after === undefined
          ? { ShardIteratorType: type }
          : { ShardIteratorType: 'AFTER_SEQUENCE_NUMBER', SequenceNumber: after }),
      }),
      { abortSignal: signal },
    );
    return ShardIterator;
  }

  async function readShard(shardId: string, type: 'LATEST' | 'TRIM_HORIZON', first: string | undefined): Promise<void> {
    let next = first;
    let last: string | undefined;
    while (next !== undefined && !signal.aborted) {
      try {
        const { Records: records = [], NextShardIterator } = await client.send(
          new GetRecordsCommand({ ShardIterator: next }),
          { abortSignal: signal },
        );
        if (records.length > 0) {
          take(records, shardId);
          expectRecords();
          last = records.at(-1)?.dynamodb?.SequenceNumber ?? last;
        }
        next = NextShardIterator;
        if (records.length === 0 && next !== undefined) await untilNextPoll();
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof ExpiredIteratorException || error instanceof TrimmedDataAccessException) {
          next = await iterator(shardId, last, type);
          continue;
        }
        log('stream', `Reading ${shardId} failed and is retried: ${String(error)}`);
        await sleep(RETRY_MS, undefined, { signal });
      }
    }
    ended.set(shardId, true);
  }

  /** Starts to read new shards whose parent has been read. */
  async function start(type: 'LATEST' | 'TRIM_HORIZON'): Promise<void> {
    for (const { ShardId: id, ParentShardId: parent, SequenceNumberRange: range } of await shards()) {
      if (id === undefined || ended.has(id)) continue;
      if (parent !== undefined && ended.get(parent) === false) continue;
      if (type === 'LATEST' && range?.EndingSequenceNumber !== undefined) {
        ended.set(id, true);
        continue;
      }
      ended.set(id, false);
      const reading = readShard(id, type, await iterator(id, undefined, type))
        .catch((error: unknown) => {
          if (!signal.aborted) log('stream', `Reading ${id} has ended: ${String(error)}`);
        })
        .finally(() => running.delete(reading));
      running.add(reading);
    }
  }

  async function watch(): Promise<void> {
    while (!signal.aborted) {
      try {
        // A shard that has ended has a successor, so the search runs at once.
        await Promise.race([sleep(DESCRIBE_MS, undefined, { signal }), ...running]);
        await start('TRIM_HORIZON');
        if (running.size === 0) await sleep(RETRY_MS, undefined, { signal });
      } catch (error) {
        if (signal.aborted) return;
        log('stream', `The shards of ${streamArn} cannot be listed: ${String(error)}`);
        await sleep(RETRY_MS);
      }
    }
  }

  await start(startingPosition);
  const watching = watch();
  return {
    expectRecords,
    async close() {
      controller.abort();
      await Promise.allSettled([watching, ...running]);
      client.destroy();
    },
  };
}
