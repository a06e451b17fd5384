import type { SQSRecord } from 'aws-lambda';
import * as v from 'valibot';
import type { RoomEvent } from '../contract/realtime.ts';
import { type Deadline, wait } from '../platform/deadline.ts';
import { count, countReader } from '../platform/emf.ts';
import { logError } from '../platform/log.ts';
import { isRehearsal } from '../platform/prime.ts';
import { settleAll } from '../platform/settle-all.ts';
import { connectionsOf, type Recipient } from '../store/connections.ts';
import type { Key } from '../store/keys.ts';
import { leaveLane, removeFromLane, waitingInLane } from '../store/lane.ts';
import type { FeedOfRoom } from '../store/sequence.ts';
import { batchesOf } from './batches.ts';
import { countOutcomes, MAX_POSTS_HERE } from './broadcast.ts';
import { onTable, type SendTask, type Task } from './deliver.ts';
import { deliverToRoom } from './deliver-room.ts';
import { considerDigests } from './digest-mode.ts';
import { deleteFromQueue, retryFromQueue } from './lane-queue.ts';
import { withPresentMessages } from './message-events.ts';
import { isNumbered } from './pack.ts';
import { parseTask } from './parse.ts';

/*
 * The lanes of large and busy rooms: delivers the events that the stream readers have queued. See
 * docs/decisions/0032-lanes.md.
 */

/**
 * A room with fewer connections leaves its lane once the lane is empty. The threshold is well below the one for
 * entering, so that rooms rarely switch.
 */
const LEAVE_BELOW = 0.8 * MAX_POSTS_HERE;
/**
 * The minimum interval between two rounds in a busy room, in milliseconds. Longer rounds put more events into each
 * frame, and so cost less.
 */
export const ROUND_MS = 500;
/** With less time left than this, in milliseconds, no delivery to a large room is started. */
const MIN_LEFT_MS = 5_000;
/** The delay before a failed message is retried, in seconds. */
const RETRY_SECONDS = 2;
/** CloudWatch's maximum of values per metric in one line. */
const VALUES_PER_LINE = 100;

const numbersOf = (task: Task) =>
  task.kind === 'send' && task.numbers && task.events.some(isNumbered) ? task.numbers : undefined;

const lastOf = ({ events, numbers }: SendTask): number => (numbers?.first ?? 0) + events.filter(isNumbered).length - 1;

/** Returns whether the events of one task directly follow those of another. */
const follows = (next: SendTask, previous: SendTask): boolean =>
  numbersOf(next)?.first === lastOf(previous) + 1 && numbersOf(previous) !== undefined;

/** Returns whether the tasks are for all connections of the room. */
const areForAll = (...tasks: readonly SendTask[]): boolean => tasks.every(({ only }) => only === undefined);

/** Merges two tasks. A frame has one time for all of its events, which is that of the last one. */
function merge(previous: SendTask, next: SendTask): SendTask {
  const sent_at = next.events.at(-1)?.sent_at;
  const events = [...previous.events, ...next.events].map(
    (event): RoomEvent => (sent_at ? { ...event, sent_at } : event),
  );
  return { ...previous, events, stored_at: [...(previous.stored_at ?? []), ...(next.stored_at ?? [])] };
}

/** The events that one step delivers. */
export interface Step {
  readonly task: Task;
  /** The keys of the items that it contains. */
  readonly keys: readonly Key[];
}

/**
 * Merges the waiting tasks of one feed that follow each other without a gap. The longer a delivery takes, the more
 * events are in the next frames. Pure.
 */
export function stepsOf(waiting: readonly { readonly key: Key; readonly task: Task }[]): Step[] {
  const steps: Step[] = [];
  for (const { key, task } of waiting) {
    const open = steps.at(-1);
    if (open?.task.kind === 'send' && task.kind === 'send' && areForAll(open.task, task) && follows(task, open.task))
      steps.splice(-1, 1, { task: merge(open.task, task), keys: [...open.keys, key] });
    else steps.push({ task, keys: [key] });
  }
  return steps;
}

/** Returns a task with its messages' current content, because they may have been deleted while they waited. */
const withCurrentMessages = async (task: Task): Promise<Task> =>
  task.kind === 'send' ? { ...task, events: await onTable(() => withPresentMessages(task.events)) } : task;

/** Returns the connections of a room for which a task is. */
function recipientsOf(task: Task, live: readonly Recipient[]): readonly Recipient[] {
  if (task.kind !== 'send' || !task.only) return live;
  const ids = new Set(task.only.map(({ connection_id }) => connection_id));
  return live.filter(({ connection_id }) => ids.has(connection_id));
}

/** Delivers one step, and deletes its items from the lane. */
async function deliver(of: FeedOfRoom, step: Step, deadline: Deadline): Promise<void> {
  const { room_id, feed } = of;
  const { keys } = step;
  const started = performance.now();
  const [connections, task] = await settleAll([onTable(() => connectionsOf(room_id)), withCurrentMessages(step.task)]);
  const live = recipientsOf(task, connections.live);
  const counts = await deliverToRoom(room_id, task, { ...connections, live }, deadline);
  const duration_ms = Math.round(performance.now() - started);
  report();
  if (task.kind === 'send') await considerDigests(room_id, task.events, connections.live);
  await onTable(() => removeFromLane(keys));
  if (task.kind === 'send' && numbersOf(task) && connections.live.length < LEAVE_BELOW)
    await onTable(() => leaveLane(of, lastOf(task)));

  function report(): void {
    if (isRehearsal()) return;
    const about = { action: 'lane', room_id, feed, duration_ms };
    if (task.kind === 'close') {
      console.info({ ...about, closed: connections.live.length, marked: counts.marked });
      return;
    }
    countOutcomes(counts);
    const messages = task.events.filter(({ type }) => type === 'message');
    const now = Date.now();
    if (messages.length > 0) count('events', { FanOutTime: duration_ms, Receivers: counts.receivers });
    const times = (task.stored_at ?? []).map((stored_at) => Math.max(0, now - stored_at));
    if (counts.receivers > 0)
      for (const some of batchesOf(times, VALUES_PER_LINE)) countReader('lane', { StoredToDelivered: some });
    console.info({ ...about, events: task.events.length, ...counts });
  }
}

/**
 * Delivers the events in a lane, including those that arrive in the meantime, in order.
 *
 * @throws if a step fails, or if the time is over before the lane is empty
 */
async function workLane(of: FeedOfRoom, deadline: Deadline): Promise<void> {
  let begun: number | undefined;
  // Each round delivers at least one step, which fails when the time is over.
  for (;;) {
    let waiting = await onTable(() => waitingInLane(of));
    if (waiting.length === 0) return;
    const pause = begun === undefined ? 0 : ROUND_MS - (performance.now() - begun);
    if (pause > 0) {
      await wait(pause, deadline.signal);
      waiting = await onTable(() => waitingInLane(of));
    }
    begun = performance.now();
    for (const step of stepsOf(waiting.map(({ key, task }) => ({ key, task: parseTask(task) })))) {
      if (deadline.leftMs() < MIN_LEFT_MS) throw new Error('The time is up.');
      await deliver(of, step, deadline);
    }
    if (isRehearsal()) return;
  }
}

/** Runs an optimization. A failure only delays work, so it is logged and not thrown. */
const bestEffort = (work: Promise<void>): Promise<void> =>
  work.catch((error: unknown) => logError({ action: 'lane' }, error));

const laneMessage = v.pipe(
  v.string(),
  v.parseJson(),
  v.object({ room_id: v.string(), feed: v.picklist(['messages', 'changes']) }),
);

/** A message of the lane queue, which identifies a lane. Redriven dead letters have no receipt handle. */
type Message = Pick<SQSRecord, 'messageId' | 'body'> & Partial<Pick<SQSRecord, 'receiptHandle'>>;

const receiptsOf = (messages: readonly Message[]) => messages.flatMap(({ receiptHandle }) => receiptHandle ?? []);

/** Processes the lanes of the given queue messages in parallel. Returns the messages that must be delivered again. */
export async function workLanes(messages: readonly Message[], deadline: Deadline): Promise<readonly Message[]> {
  const lanes = [...Map.groupBy(messages, ({ body }) => body)];
  const failed = await Promise.all(
    lanes.map(async ([body, group]) => {
      try {
        await workLane(v.parse(laneMessage, body), deadline);
      } catch (error) {
        logError({ action: 'lane', message_id: group[0]?.messageId, lane: body }, error);
        await bestEffort(retryFromQueue(receiptsOf(group), RETRY_SECONDS));
        return group;
      }
      // Deletes the message now, so that the room's next one does not wait for the other rooms of the batch.
      if (lanes.length > 1) await bestEffort(deleteFromQueue(receiptsOf(group)));
      return [];
    }),
  );
  return failed.flat();
}
