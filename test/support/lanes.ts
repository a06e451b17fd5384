import { createHash } from 'node:crypto';
import type { SQSEvent } from 'aws-lambda';
import { handler as lane } from '../../functions/events/lane.ts';
import type { LogLine } from './logs.ts';
import { queueEvent } from './queue-event.ts';
import { runEventFunction } from './run-event-function.ts';

/*
 * The queue of the lanes of large rooms, with the rules of an SQS FIFO queue: messages of a group stay in order, a
 * group with a message in flight is blocked, and repeated deduplication IDs are dropped.
 */

export interface LaneMessage {
  readonly group: string;
  readonly id: string;
  readonly body: string;
}

const waiting: LaneMessage[] = [];
const known = new Set<string>();
/** How many messages the function made visible again sooner, and how many it deleted before the end of the batch. */
export const laneRequests = { retried: 0, deleted: 0 };

/** Receives a message as SQS does. */
export function takeForLane(message: Omit<LaneMessage, 'id'> & { readonly deduplication: string }): void {
  const { group, body, deduplication } = message;
  const id = createHash('sha256').update(`${group} ${deduplication}`).digest('hex').slice(0, 20);
  if (known.has(id)) return;
  known.add(id);
  waiting.push({ group, id, body });
}

/** The waiting messages of all lanes, oldest first. */
export const inLanes = (): readonly LaneMessage[] => waiting;

export function resetLanes(): void {
  waiting.length = 0;
  known.clear();
  Object.assign(laneRequests, { retried: 0, deleted: 0 });
}

const BATCH = 10;

/** The event with which Lambda invokes the lane function. */
export function laneEvent(messages: readonly LaneMessage[]): SQSEvent {
  const { Records } = queueEvent(...messages.map(({ body }) => body));
  return { Records: Records.map((record, n) => ({ ...record, messageId: messages[n]?.id ?? '' })) };
}

/** Invokes the function once with up to 10 waiting messages. Failed ones stay in the queue, in order. */
export async function runLaneOnce(time_left_ms = 60_000) {
  const batch = waiting.splice(0, BATCH);
  const { result, lines, trace } = await runEventFunction('lane', (context) =>
    lane(laneEvent(batch), { ...context, getRemainingTimeInMillis: () => time_left_ms }),
  );
  const failed = result.batchItemFailures.map(({ itemIdentifier }) => itemIdentifier);
  waiting.unshift(...batch.filter(({ id }) => failed.includes(id)));
  return { failed, lines, trace };
}

/** Processes all lanes until they are empty. @throws if a message fails, because a retry would fail, too */
export async function runLanes(): Promise<LogLine[]> {
  const all: LogLine[] = [];
  while (waiting.length > 0) {
    const { failed, lines } = await runLaneOnce();
    all.push(...lines);
    if (failed.length > 0) throw new Error(`The lane failed: ${JSON.stringify(lines)}`);
  }
  return all;
}
