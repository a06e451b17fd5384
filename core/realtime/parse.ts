import type { RoomEvent } from '../contract/realtime.ts';
import { parseJsonObject } from '../platform/json.ts';
import { isJsonObject } from '../rules/json.ts';
import type { Counts, FanOutRequest, Task } from './deliver.ts';
import type { Announcement, Moment } from './schedule.ts';

/*
 * Parses what functions of this service store for each other, or answer each other. An earlier or a later version may have written it.
 */

/** Whether a value is an event of a room. Its data is not checked, and a later version may have other types of events. */
export const isRoomEvent = (value: unknown): value is RoomEvent =>
  isJsonObject(value) &&
  typeof value.type === 'string' &&
  typeof value.room_id === 'string' &&
  typeof value.sent_at === 'string' &&
  isJsonObject(value.data);

const isNumbers = (value: unknown): boolean =>
  value === undefined || (isJsonObject(value) && typeof value.feed === 'string' && Number.isInteger(value.first));

const isOnly = (value: unknown): boolean =>
  value === undefined ||
  (Array.isArray(value) &&
    value.every(
      (left) => isJsonObject(left) && typeof left.connection_id === 'string' && typeof left.had === 'number',
    ));

function isTask(value: unknown): value is Task {
  if (!isJsonObject(value)) return false;
  const { kind, event, events: all, numbers, only } = value;
  if (kind === 'close') return event === undefined || isRoomEvent(event);
  return kind === 'send' && Array.isArray(all) && all.every(isRoomEvent) && isNumbers(numbers) && isOnly(only);
}

/**
 * Parses a task that waits in a lane.
 *
 * @throws if the text is not a task
 */
export function parseTask(text: string): Task {
  const task: unknown = parseJsonObject(text);
  if (!isTask(task)) throw new TypeError('Not a task of a lane.');
  return task;
}

const isCounts = (value: unknown): value is Omit<Counts, 'skipped'> & { skipped?: number } =>
  isJsonObject(value) &&
  [value.sent, value.gone, value.failed, value.receivers, value.marked].every(Number.isInteger) &&
  (value.skipped === undefined || Number.isInteger(value.skipped));

/**
 * Parses the answer of a fan-out invocation. An earlier version does not count skipped connections.
 *
 * @throws if the text is not such an answer
 */
export function parseCounts(text: string): Counts {
  const counts: unknown = parseJsonObject(text);
  if (!isCounts(counts)) throw new TypeError('Not the answer of a fan-out invocation.');
  return { ...counts, skipped: counts.skipped ?? 0 };
}

const isRecipient = (value: unknown): boolean =>
  isJsonObject(value) &&
  typeof value.connection_id === 'string' &&
  typeof value.participant_id === 'string' &&
  typeof value.token_expires_at === 'number';

const isFanOutRequest = (value: unknown): value is FanOutRequest =>
  isJsonObject(value) &&
  typeof value.room_id === 'string' &&
  Array.isArray(value.recipients) &&
  value.recipients.every(isRecipient) &&
  isTask(value.task) &&
  typeof value.time_left_ms === 'number' &&
  (value.posts_per_second === undefined || typeof value.posts_per_second === 'number');

/**
 * Checks the input of a fan-out invocation.
 *
 * @throws if it is not one
 */
export function requireFanOutRequest(value: unknown): FanOutRequest {
  if (!isFanOutRequest(value)) throw new TypeError('Not the input of a fan-out invocation.');
  return value;
}

const MOMENTS: Readonly<Record<Moment, true>> = { start: true, end: true, next: true };

const isAnnouncement = (value: unknown): value is Announcement =>
  isJsonObject(value) &&
  typeof value.room_id === 'string' &&
  typeof value.moment === 'string' &&
  Object.hasOwn(MOMENTS, value.moment) &&
  typeof value.time === 'string';

/**
 * Checks the input that a schedule has for the function that announces.
 *
 * @throws if it is not one
 */
export function requireAnnouncement(value: unknown): Announcement {
  if (!isAnnouncement(value)) throw new TypeError('Not the input of a schedule.');
  return value;
}
