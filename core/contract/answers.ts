import * as v from 'valibot';
import { isJsonObject, type JsonObject } from '../rules/json.ts';

const id = v.string();
const time = v.pipe(v.string(), v.isoTimestamp());
const count = v.pipe(v.number(), v.integer(), v.minValue(0));
/** A JSON object that belongs to the application. */
const json = v.custom<JsonObject>(isJsonObject);

export const role = v.picklist(['member', 'observer']);
export const posting = v.picklist(['everyone', 'admins']);

/** A message that the service sends at a time relative to the start or the end of the room. */
export const announcement = v.object({
  announcement_id: id,
  message: v.string(),
  relative_from: v.picklist(['start', 'end']),
  relative_time_in_seconds: v.pipe(v.number(), v.integer()),
});

export const room = v.object({
  room_id: id,
  name: v.string(),
  description: v.nullable(v.string()),
  start_time: time,
  end_time: v.nullable(time),
  status: v.picklist(['booked', 'started', 'ended']),
  end_reason: v.nullable(v.string()),
  posting,
  metadata: v.nullable(json),
  end_warnings_seconds: v.array(count),
  announcements: v.array(announcement),
  created_by: id,
  created_at: time,
  updated_at: time,
});

/** The profile that participants set for themselves, per room. */
export const profile = v.object({
  participant_id: id,
  username: v.nullable(v.string()),
  archive_room: v.boolean(),
});

/** A room from the perspective of one participant, with their own profile, admin right, role and read mark. */
export const myRoom = v.object({
  ...room.entries,
  is_admin: v.boolean(),
  role,
  username: v.nullable(v.string()),
  archive_room: v.boolean(),
  read_to: v.nullable(id),
  last_message_at: v.nullable(time),
  has_unread: v.boolean(),
});

/** Like `myRoom`, with a count that requires a separate query. */
export const roomDetails = v.object({ ...myRoom.entries, unread_count: count });

/** The same fields as in the event `participant_added`. */
export const addedParticipant = v.object({ ...profile.entries, role });

export const participant = v.object({ ...addedParticipant.entries, is_admin: v.boolean() });

export const listedParticipant = v.object({
  ...participant.entries,
  online: v.boolean(),
  read_to: v.nullable(id),
});

export const removedParticipant = v.object({ participant_id: id });

/** How far a participant has read: all messages up to this one. */
export const readMark = v.object({ participant_id: id, read_to: v.nullable(id) });

/** A file as messages show it: the stored details, never those that a sender claims. */
export const attachment = v.object({
  file_id: id,
  name: v.string(),
  size: v.number(),
  content_type: v.string(),
});

export const message = v.object({
  message_id: id,
  room_id: id,
  sender_id: id,
  client_message_id: v.string(),
  text: v.nullable(v.string()),
  attachment: v.nullable(attachment),
  sent_at: time,
  sender_name: v.nullable(v.string()),
  kind: v.picklist(['user', 'system']),
  type: v.nullable(v.string()),
  data: v.nullable(json),
  reply_to: v.nullable(id),
  attachments: v.array(attachment),
  edited_at: v.nullable(time),
  deleted_at: v.nullable(time),
  deleted_by: v.nullable(id),
  change: v.nullable(count),
});

export const upload = v.object({
  file_id: id,
  upload_url: v.string(),
  method: v.literal('PUT'),
  headers: v.record(v.string(), v.string()),
  expires_at: time,
});

export const download = v.object({
  download_url: v.string(),
  expires_at: time,
  name: v.string(),
  size: v.number(),
  content_type: v.string(),
});

export type Room = v.InferOutput<typeof room>;
export type Announcement = v.InferOutput<typeof announcement>;
export type Role = v.InferOutput<typeof role>;
export type Posting = v.InferOutput<typeof posting>;
export type MyRoom = v.InferOutput<typeof myRoom>;
export type Profile = v.InferOutput<typeof profile>;
export type RoomDetails = v.InferOutput<typeof roomDetails>;
export type AddedParticipant = v.InferOutput<typeof addedParticipant>;
export type ReadMark = v.InferOutput<typeof readMark>;
export type Participant = v.InferOutput<typeof participant>;
export type ListedParticipant = v.InferOutput<typeof listedParticipant>;
export type RemovedParticipant = v.InferOutput<typeof removedParticipant>;
export type Attachment = v.InferOutput<typeof attachment>;
export type Message = v.InferOutput<typeof message>;
export type Upload = v.InferOutput<typeof upload>;
export type Download = v.InferOutput<typeof download>;

/** One page of a list. `next_cursor` is null on the last one. */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next_cursor: string | null;
}
