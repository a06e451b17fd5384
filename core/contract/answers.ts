import * as v from 'valibot';

const id = v.string();
const time = v.pipe(v.string(), v.isoTimestamp());

export const room = v.object({
  room_id: id,
  name: v.string(),
  description: v.nullable(v.string()),
  start_time: time,
  end_time: v.nullable(time),
  status: v.picklist(['booked', 'started', 'ended']),
  end_reason: v.nullable(v.string()),
  created_by: id,
  created_at: time,
  updated_at: time,
});

/** What a participant sets for themselves, in one room. */
export const profile = v.object({
  participant_id: id,
  username: v.nullable(v.string()),
  archive_room: v.boolean(),
});

/** A room as one of its participants sees it: with their own profile and right. */
export const myRoom = v.object({
  ...room.entries,
  is_admin: v.boolean(),
  username: v.nullable(v.string()),
  archive_room: v.boolean(),
});

export const participant = v.object({ ...profile.entries, is_admin: v.boolean() });

export const listedParticipant = v.object({ ...participant.entries, online: v.boolean() });

export const removedParticipant = v.object({ participant_id: id });

/** A file as the messages it is attached to show it: the stored facts, never a sender's word. */
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
export type MyRoom = v.InferOutput<typeof myRoom>;
export type Profile = v.InferOutput<typeof profile>;
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
