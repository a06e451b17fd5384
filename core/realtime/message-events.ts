import type { DynamoDBRecord } from 'aws-lambda';
import type { RoomEvent, RoomEventOf } from '../contract/realtime.ts';
import { type MessageItem, toMessage } from '../store/items.ts';
import { type Key, messageKey } from '../store/keys.ts';
import { getMany } from '../store/read.ts';
import { imageOf } from './stream.ts';

/*
 * Computes events from changes of messages. A record identifies the message. New messages are usually sent as the
 * record contains them, without a read. If the message may have changed, it is read again, so that deleted content is
 * not sent.
 */

/**
 * The age from which a new message is read again before it is sent, in milliseconds. Such delays occur after a failed
 * batch, or if the stream reader is behind.
 */
const FRESH_MS = 5_000;

export type MessageEvent = RoomEventOf<'message' | 'message_updated' | 'message_deleted'>;

/** A stream record of a message. */
export interface MessageRecord {
  readonly kind: 'new' | 'changed';
  /** As in the record. */
  readonly message: MessageItem;
}

/** Reads a record. Returns undefined for writes without a visible change. */
export function messageRecord({ eventName, dynamodb }: DynamoDBRecord): MessageRecord | undefined {
  const message = imageOf<MessageItem>(dynamodb?.NewImage);
  if (!message) throw new Error('The record has no new image.');
  if (eventName === 'INSERT') return { kind: 'new', message };
  const isChange = imageOf<MessageItem>(dynamodb?.OldImage)?.change !== message.change;
  return isChange ? { kind: 'changed', message } : undefined;
}

/** An event, and when its change was stored, in epoch milliseconds. */
interface Stored {
  readonly event: MessageEvent;
  readonly stored_at: number;
}

/**
 * Returns the events for the records of one room, in order. A message that changed several times is sent once, at its
 * last change. A message that no longer exists is omitted.
 *
 * @param sent_at the time of the events
 */
export async function messageEvents(records: readonly MessageRecord[], sent_at: string): Promise<Stored[]> {
  const now = Date.parse(sent_at);
  const lastChange = new Map<string, MessageRecord>();
  for (const record of records) if (record.kind === 'changed') lastChange.set(record.message.message_id, record);
  const isFresh = ({ message }: MessageRecord): boolean =>
    now - Date.parse(message.sent_at) < FRESH_MS && !lastChange.has(message.message_id);
  const keys = records.flatMap((record) =>
    isFresh(record) ? [] : messageKey(record.message.room_id, record.message.message_id),
  );
  const present = await readMessages(keys);

  return records.flatMap((record): Stored[] => {
    const { kind, message } = record;
    const item = isFresh(record) ? message : present.get(message.message_id);
    const isSuperseded = kind === 'changed' && lastChange.get(message.message_id) !== record;
    if (!item || isSuperseded) return [];
    const type = kind === 'new' ? 'message' : changeOf(item);
    const time = kind === 'new' ? item.sent_at : (item.deleted_at ?? item.edited_at ?? item.sent_at);
    return [{ event: { type, room_id: item.room_id, data: toMessage(item), sent_at }, stored_at: Date.parse(time) }];
  });
}

/** Reads messages, by ID. */
async function readMessages(keys: readonly Key[]): Promise<ReadonlyMap<string, MessageItem>> {
  const once = [...new Map(keys.map((key) => [key.SK, key])).values()];
  const read = await getMany<MessageItem>(once, { consistent: true });
  return new Map(read.map((item) => [item.message_id, item]));
}

const changeOf = ({ deleted_at }: MessageItem): 'message_updated' | 'message_deleted' =>
  deleted_at === undefined ? 'message_updated' : 'message_deleted';

/**
 * Returns numbered events that waited in a lane, with the same order and numbers, but with current messages, so that
 * deleted content is not sent. Events that waited only briefly are unchanged.
 */
export async function withPresentMessages(events: readonly RoomEvent[]): Promise<readonly RoomEvent[]> {
  const now = Date.now();
  const hasWaited = (event: RoomEvent): event is RoomEventOf<'message' | 'message_updated'> =>
    (event.type === 'message' || event.type === 'message_updated') &&
    now - Date.parse(event.data.edited_at ?? event.data.sent_at) >= FRESH_MS;
  const waited = events.filter(hasWaited);
  if (waited.length === 0) return events;
  const present = await readMessages(waited.map(({ room_id, data }) => messageKey(room_id, data.message_id)));
  return events.map((event) => {
    if (!hasWaited(event)) return event;
    const item = present.get(event.data.message_id);
    if (!item) return { ...event, data: { ...event.data, text: null, data: null, attachment: null, attachments: [] } };
    return { ...event, type: event.type === 'message' ? event.type : changeOf(item), data: toMessage(item) };
  });
}
