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
 * Adds tasks to the lane of a large or busy room: the task is stored in the table, and a queue message refers to it.
 * The queue delivers one message per feed and room at a time. See docs/decisions/0032-lanes.md.
 */

/** The maximum size of one item's events, in bytes. DynamoDB's limit is 400 KB. */
const MAX_ITEM_BYTES = 300_000;

let client: SQSClient | undefined;
const sqs = (): SQSClient => {
  client ??= abortable(new SQSClient(SHORT_TIME_LIMITS));
  return client;
};

/** Splits a task into parts that fit into items, in order. */
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
  const { stored_at, ...rest } = task;
  return parts.map(({ events, first, framesBefore }, index) => ({
    ...rest,
    events,
    // Only the last part counts as the delivery of the changes.
    ...(stored_at && index === parts.length - 1 && { stored_at }),
    ...(task.numbers && { numbers: { ...task.numbers, first } }),
    ...(task.only && { only: task.only.map((left) => ({ ...left, had: Math.max(0, left.had - framesBefore) })) }),
  }));
}

/** Returns the position of a task in its lane. */
function placeOf(task: Task): number | Unnumbered {
  if (task.kind === 'close') return 'close';
  return task.numbers && task.events.some(isNumbered) ? task.numbers.first : 'unnumbered';
}

/**
 * Adds a task to the lane of a room, after all earlier tasks. Adding the same task again has no effect.
 *
 * @throws if the task cannot be stored, or the queue does not accept its message
 */
export async function handToLane({ room_id, feed }: FeedOfRoom, task: Task): Promise<void> {
  for (const part of task.kind === 'send' ? partsOf(task) : [task])
    await onTable(() => storeInLane({ room_id, feed }, placeOf(part), JSON.stringify(part)));
  await sqs().send(
    new SendMessageCommand({
      QueueUrl: env('LANE_QUEUE_URL'),
      MessageBody: JSON.stringify({ room_id, feed } satisfies FeedOfRoom),
      MessageGroupId: `${room_id}-${feed}`,
      // An unnecessary message costs only one read.
      MessageDeduplicationId: randomUUID(),
    }),
  );
}

const entriesOf = (receipts: readonly string[]) =>
  receipts.map((ReceiptHandle, index) => ({ Id: String(index), ReceiptHandle }));

/** Deletes up to 10 messages, so that their rooms do not wait for the other rooms of the batch. */
export async function deleteFromQueue(receipts: readonly string[]): Promise<void> {
  await sqs().send(new DeleteMessageBatchCommand({ QueueUrl: env('LANE_QUEUE_URL'), Entries: entriesOf(receipts) }));
}

/** Makes up to 10 failed messages visible again after some seconds, before the queue's visibility time-out. */
export async function retryFromQueue(receipts: readonly string[], seconds: number): Promise<void> {
  const Entries = entriesOf(receipts).map((entry) => ({ ...entry, VisibilityTimeout: seconds }));
  await sqs().send(new ChangeMessageVisibilityBatchCommand({ QueueUrl: env('LANE_QUEUE_URL'), Entries }));
}
