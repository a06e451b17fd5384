import { createHash } from 'node:crypto';
import type { SQSEvent } from 'aws-lambda';
import { handler as lane } from '../../functions/events/lane.ts';
import type { LogLine } from './logs.ts';
import { queueEvent } from './queue-event.ts';
import { runEventFunction } from './run-event-function.ts';

/*
 * The queue of large rooms' lanes, as SQS keeps its rules: in order within a group, of which nothing more is handed out while something is
 * under way, and nothing twice that has the same deduplication ID.
 */

export interface LaneMessage {
  readonly group: string;
  readonly id: string;
  readonly body: string;
}

const waiting: LaneMessage[] = [];
const known = new Set<string>();
/** Requests of the function to have messages again sooner, or to delete them before the batch ends: how many messages each had. */
export const laneRequests = { retried: 0, deleted: 0 };

/** Takes a message, as SQS does. */
export function takeForLane(message: Omit<LaneMessage, 'id'> & { readonly deduplication: string }): void {
  const { group, body, deduplication } = message;
  const id = createHash('sha256').update(`${group} ${deduplication}`).digest('hex').slice(0, 20);
  if (known.has(id)) return;
  known.add(id);
  waiting.push({ group, id, body });
}

/** What waits in the lanes, oldest first. */
export const inLanes = (): readonly LaneMessage[] => waiting;

export function forgetLanes(): void {
  waiting.length = 0;
  known.clear();
  Object.assign(laneRequests, { retried: 0, deleted: 0 });
}

const BATCH = 10;

/** The event with which Lambda hands messages of lanes to the function. */
export function laneEvent(messages: readonly LaneMessage[]): SQSEvent {
  const { Records } = queueEvent(...messages.map(({ body }) => body));
  return { Records: Records.map((record, n) => ({ ...record, messageId: messages[n]?.id ?? '' })) };
}

/** Hands what waits to the function once, ten messages at most, and keeps what it reports as failed, in order. */
export async function runLaneOnce(time_left_ms = 60_000) {
  const batch = waiting.splice(0, BATCH);
  const { result, lines, trace } = await runEventFunction('lane', (context) =>
    lane(laneEvent(batch), { ...context, getRemainingTimeInMillis: () => time_left_ms }),
  );
  const failed = result.batchItemFailures.map(({ itemIdentifier }) => itemIdentifier);
  waiting.unshift(...batch.filter(({ id }) => failed.includes(id)));
  return { failed, lines, trace };
}

/** Works through all lanes. @throws if the function fails: there is nothing that would change by itself */
export async function runLanes(): Promise<LogLine[]> {
  const all: LogLine[] = [];
  while (waiting.length > 0) {
    const { failed, lines } = await runLaneOnce();
    all.push(...lines);
    if (failed.length > 0) throw new Error(`The lane failed: ${JSON.stringify(lines)}`);
  }
  return all;
}
