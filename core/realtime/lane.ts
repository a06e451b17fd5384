import type { SQSRecord } from 'aws-lambda';
import * as v from 'valibot';
import type { RoomEvent, RoomEventOf } from '../contract/realtime.ts';
import { type Deadline, wait } from '../platform/deadline.ts';
import { count, countReader } from '../platform/emf.ts';
import { logError } from '../platform/log.ts';
import { isRehearsal } from '../platform/prime.ts';
import { settleAll } from '../platform/settle-all.ts';
import { connectionsOf, type Recipient } from '../store/connections.ts';
import type { Key } from '../store/keys.ts';
import { leaveLane, removeFromLane, waitingInLane } from '../store/lane.ts';
import type { FeedOfRoom } from '../store/sequence.ts';
import { countOutcomes, MAX_POSTS_HERE } from './broadcast.ts';
import { onTable, type SendTask, type Task } from './deliver.ts';
import { deliverToRoom } from './deliver-room.ts';
import { considerDigests } from './digest-mode.ts';
import { deleteFromQueue, retryFromQueue } from './lane-queue.ts';
import { withPresentMessages } from './message-events.ts';
import { isNumbered } from './pack.ts';

/*
 * The lanes of large and busy rooms: works through what the readers of the stream have left to them. See docs/decisions/0032-lanes.md.
 */

/** A room with fewer connections leaves its lane once it is empty: well below the bound, so that no room comes and goes with every join. */
const LEAVE_BELOW = 0.8 * MAX_POSTS_HERE;
/**
 * While a room is busy, a round begins so many milliseconds after the one before at the earliest: more events are in each frame. A frame that is one of
 * two costs half as much.
 */
export const ROUND_MS = 500;
/** Less time than this is not enough to deliver to a large room, in milliseconds. */
const MIN_LEFT_MS = 5_000;
/** After this, what has failed is tried again, in seconds. */
const RETRY_SECONDS = 2;

const numbersOf = (task: Task) =>
  task.kind === 'send' && task.numbers && task.events.some(isNumbered) ? task.numbers : undefined;

const lastOf = ({ events, numbers }: SendTask): number => (numbers?.first ?? 0) + events.filter(isNumbered).length - 1;

/** Returns whether the events of one task follow those of another without a gap. */
const follows = (next: SendTask, previous: SendTask): boolean =>
  numbersOf(next)?.first === lastOf(previous) + 1 && numbersOf(previous) !== undefined;

/** Returns whether tasks are for all connections. */
const areForAll = (...tasks: readonly SendTask[]): boolean => tasks.every(({ only }) => only === undefined);

/** Returns two tasks in one. A frame has one time for all of its events: theirs is that of the last. */
function merge(previous: SendTask, next: SendTask): SendTask {
  const sent_at = next.events.at(-1)?.sent_at;
  const events = [...previous.events, ...next.events].map(
    (event): RoomEvent => (sent_at ? { ...event, sent_at } : event),
  );
  return { ...previous, events };
}

/** What is delivered at once. */
export interface Step {
  readonly task: Task;
  /** Of the items that it is from. */
  readonly keys: readonly Key[];
}

/**
 * Puts together what waits for one feed of a room, in order, and follows without a gap: the longer a room takes, the more events are in its
 * next frames. Pure.
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

/** Returns a task with messages as they are now, as what waits may have been deleted. */
const asOfNow = async (task: Task): Promise<Task> =>
  task.kind === 'send' ? { ...task, events: await onTable(() => withPresentMessages(task.events)) } : task;

/** Returns those of a room's connections that a task is for. */
function recipientsOf(task: Task, live: readonly Recipient[]): readonly Recipient[] {
  if (task.kind !== 'send' || !task.only) return live;
  const ids = new Set(task.only.map(({ connection_id }) => connection_id));
  return live.filter(({ connection_id }) => ids.has(connection_id));
}

/** Delivers one step, and removes it from the lane. */
async function deliver(of: FeedOfRoom, step: Step, deadline: Deadline): Promise<void> {
  const { room_id, feed } = of;
  const { keys } = step;
  const started = performance.now();
  const [connections, task] = await settleAll([onTable(() => connectionsOf(room_id)), asOfNow(step.task)]);
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
    const messages = task.events.filter((event): event is RoomEventOf<'message'> => event.type === 'message');
    const now = Date.now();
    if (messages.length > 0) {
      count('events', { FanOutTime: duration_ms, Receivers: counts.receivers });
      const times = messages.map(({ data }) => Math.max(0, now - Date.parse(data.sent_at)));
      if (counts.receivers > 0) countReader('lane', { StoredToDelivered: times });
    }
    console.info({ ...about, events: task.events.length, ...counts });
  }
}

/**
 * Delivers the events in a lane, and those that arrive in the meantime, in order.
 *
 * @throws if a step fails, or the time is over before the lane is empty
 */
async function workLane(of: FeedOfRoom, deadline: Deadline): Promise<void> {
  let begun: number | undefined;
  for (;;) {
    let waiting = await onTable(() => waitingInLane(of));
    if (waiting.length === 0) return;
    const pause = begun === undefined ? 0 : ROUND_MS - (performance.now() - begun);
    if (pause > 0) {
      await wait(pause, deadline.signal);
      waiting = await onTable(() => waitingInLane(of));
    }
    begun = performance.now();
    // Made by this service: the shape is not checked again.
    for (const step of stepsOf(waiting.map(({ key, task }) => ({ key, task: JSON.parse(task) as Task })))) {
      if (deadline.leftMs() < MIN_LEFT_MS) throw new Error('The time is up.');
      await deliver(of, step, deadline);
    }
    if (isRehearsal()) return;
  }
}

/** Runs what only makes something happen sooner than it would. */
const sooner = (work: Promise<void>): Promise<void> =>
  work.catch((error: unknown) => logError({ action: 'lane' }, error));

const lookAt = v.pipe(
  v.string(),
  v.parseJson(),
  v.object({ room_id: v.string(), feed: v.picklist(['messages', 'changes']) }),
);

/** A message of the queue, which says where to look. A dead letter that is delivered again has no receipt. */
type Message = Pick<SQSRecord, 'messageId' | 'body'> & Partial<Pick<SQSRecord, 'receiptHandle'>>;

const receiptsOf = (messages: readonly Message[]) => messages.flatMap(({ receiptHandle }) => receiptHandle ?? []);

/** Works through the lanes that messages of the queue name, at the same time. Returns the messages that are to be delivered again. */
export async function workLanes(messages: readonly Message[], deadline: Deadline): Promise<readonly Message[]> {
  const lanes = [...Map.groupBy(messages, ({ body }) => body)];
  const failed = await Promise.all(
    lanes.map(async ([body, group]) => {
      try {
        await workLane(v.parse(lookAt, body), deadline);
      } catch (error) {
        logError({ action: 'lane', message_id: group[0]?.messageId, lane: body }, error);
        await sooner(retryFromQueue(receiptsOf(group), RETRY_SECONDS));
        return group;
      }
      // What comes next for this room need not wait for the other rooms of this batch.
      if (lanes.length > 1) await sooner(deleteFromQueue(receiptsOf(group)));
      return [];
    }),
  );
  return failed.flat();
}
