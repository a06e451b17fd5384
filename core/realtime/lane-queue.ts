import { randomUUID } from 'node:crypto';
import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageBatchCommand,
  SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import type { RoomEvent } from '../contract/realtime.ts';
import { abortable } from '../platform/abort.ts';
import { SHORT_TIME_LIMITS } from '../platform/client-settings.ts';
import { env } from '../platform/env.ts';
import { storeInLane, type Unnumbered } from '../store/lane.ts';
import type { FeedOfRoom } from '../store/sequence.ts';
import { framesInV1, onTable, type SendTask, type Task } from './deliver.ts';
import { isNumbered } from './pack.ts';

/*
 * How something gets into the lane of a large or busy room: it is stored, and a message of a queue says where to look. The queue hands out one
 * message of a feed of a room at a time. See docs/decisions/0032-lanes.md.
 */

/** The events of one item take so many bytes at most: DynamoDB takes 400 KB. */
const MAX_ITEM_BYTES = 300_000;

let client: SQSClient | undefined;
const sqs = (): SQSClient => {
  client ??= abortable(new SQSClient(SHORT_TIME_LIMITS));
  return client;
};

/** Splits what to send into parts that an item can hold, in order. */
function partsOf(task: SendTask): SendTask[] {
  const parts: { events: RoomEvent[]; first: number; framesBefore: number; bytes: number }[] = [];
  let number = task.numbers?.first ?? 0;
  let frames = 0;
  for (const event of task.events) {
    const bytes = Buffer.byteLength(JSON.stringify(event));
    const open = parts.at(-1);
    if (open && open.bytes + bytes <= MAX_ITEM_BYTES) {
      open.events.push(event);
      open.bytes += bytes;
    } else parts.push({ events: [event], first: number, framesBefore: frames, bytes });
    if (isNumbered(event)) number++;
    frames += framesInV1([event]);
  }
  return parts.map(({ events, first, framesBefore }) => ({
    ...task,
    events,
    ...(task.numbers && { numbers: { ...task.numbers, first } }),
    ...(task.only && { only: task.only.map((left) => ({ ...left, had: Math.max(0, left.had - framesBefore) })) }),
  }));
}

/** Returns where a task is in the order of its lane. */
function placeOf(task: Task): number | Unnumbered {
  if (task.kind === 'close') return 'close';
  return task.numbers && task.events.some(isNumbered) ? task.numbers.first : 'unnumbered';
}

/**
 * Hands a task to the lane of a room, after all that it has been handed before. The same task again changes nothing.
 *
 * @throws if it cannot be stored, or the queue does not take the message that says so
 */
export async function handToLane({ room_id, feed }: FeedOfRoom, task: Task): Promise<void> {
  for (const part of task.kind === 'send' ? partsOf(task) : [task])
    await onTable(() => storeInLane({ room_id, feed }, placeOf(part), JSON.stringify(part)));
  await sqs().send(
    new SendMessageCommand({
      QueueUrl: env('LANE_QUEUE_URL'),
      MessageBody: JSON.stringify({ room_id, feed } satisfies FeedOfRoom),
      MessageGroupId: `${room_id}-${feed}`,
      // One message too many costs nothing but a look.
      MessageDeduplicationId: randomUUID(),
    }),
  );
}

const entriesOf = (receipts: readonly string[]) =>
  receipts.map((ReceiptHandle, index) => ({ Id: String(index), ReceiptHandle }));

/** Deletes messages, at most ten, whose room need not wait for other rooms of the batch. */
export async function deleteFromQueue(receipts: readonly string[]): Promise<void> {
  await sqs().send(new DeleteMessageBatchCommand({ QueueUrl: env('LANE_QUEUE_URL'), Entries: entriesOf(receipts) }));
}

/** Has messages, at most ten, that have failed delivered again in so many seconds, and not only when the queue's time-out is over. */
export async function retryFromQueue(receipts: readonly string[], seconds: number): Promise<void> {
  const Entries = entriesOf(receipts).map((entry) => ({ ...entry, VisibilityTimeout: seconds }));
  await sqs().send(new ChangeMessageVisibilityBatchCommand({ QueueUrl: env('LANE_QUEUE_URL'), Entries }));
}
