import type {
  AddedParticipant,
  Announcement,
  Attachment,
  Message,
  MyRoom,
  Participant,
  Profile,
  Room,
} from '../contract/answers.ts';
import type { Feed } from '../contract/realtime.ts';
import type { SubProtocol } from '../contract/sub-protocols.ts';
import { parseJsonObject } from '../platform/json.ts';
import type { JsonObject } from '../rules/json.ts';
import { DEFAULT_END_WARNINGS_SECONDS, roomStatus } from '../rules/room.ts';
import type { Timestamp } from '../rules/time.ts';
import type { Key } from './keys.ts';
import { firstIdAt, timeOf } from './message-id.ts';

/* The items in the table. Reads assume these shapes, because nothing else writes to the table. */

export interface RoomItem extends Key {
  room_id: string;
  name: string;
  description?: string;
  start_time: Timestamp;
  end_time?: Timestamp;
  end_reason?: string;
  /** Missing if everyone may post. */
  posting?: 'admins';
  /** JSON, because a map in DynamoDB can have only 32 levels. */
  metadata?: string;
  /** Missing for the default. */
  end_warnings_seconds?: readonly number[];
  announcements?: readonly Announcement[];
  /**
   * Never empty. On the room item, so that one condition both authorizes an admin's write and protects the last admin.
   */
  admins: Set<string>;
  created_by: string;
  created_at: Timestamp;
  updated_at: Timestamp;
}

export interface ParticipantItem extends Key {
  GSI1PK: string;
  GSI1SK: string;
  room_id: string;
  participant_id: string;
  username?: string;
  archive_room?: boolean;
  /** Missing for members. */
  role?: 'observer';
  /** The newest message that the participant has read. */
  read_to?: string;
  added_by: string;
  added_at: Timestamp;
  /** The live connections of the participant in the room. Missing if there are none. */
  connections?: Set<string>;
  /**
   * Whether others see the participant in the room: from the first join until the grace period after the last
   * connection.
   */
  present?: boolean;
  /** When the participant last lost a connection. */
  left_at?: Timestamp;
}

/** Records that a participant left by themselves, for the event about the removal. */
export interface LeftItem extends Key {
  left_at: Timestamp;
  /** In epoch seconds. */
  expires_at: number;
}

/** A participant's attributes in the index: see the table's projection. */
export type IndexedParticipant = Pick<ParticipantItem, 'PK' | 'SK' | 'GSI1PK' | 'GSI1SK' | 'username' | 'archive_room'>;

/** A connection that has joined a room. */
export interface ConnectionItem extends Key {
  GSI1PK: string;
  GSI1SK: string;
  room_id: string;
  connection_id: string;
  participant_id: string;
  /** In epoch seconds. After its token has expired, the connection receives nothing. */
  token_expires_at: number;
  /** Missing in items of earlier versions. */
  joined_at?: Timestamp;
  /** The ping interval that the client announced. Missing if it announced none. */
  ping_interval_seconds?: number;
  /** Missing for `rooms.v1`. */
  protocol?: SubProtocol;
  /** In epoch seconds. */
  expires_at: number;
}

/** Marks connections of a room that must be closed, and receive nothing more. */
export interface DisconnectingItem extends Key {
  room_id: string;
  mark_id: string;
  /** Ids of connections. */
  connections?: Set<string>;
  /** Removed users. The mark applies to all their connections that joined before `disconnecting_since`. */
  participants?: Set<string>;
  /** Whether rooms.v2 connections only have to leave the room. Always true for `participants`. */
  detach_only?: boolean;
  disconnecting_since: Timestamp;
  /** In epoch seconds. */
  expires_at: number;
}

/** A connection that receives events about its user. */
export interface SubscriptionItem extends Key {
  GSI1PK: string;
  GSI1SK: string;
  connection_id: string;
  /** In epoch seconds. After its token has expired, the connection receives nothing. */
  token_expires_at: number;
  /** Missing for `rooms.v1`. */
  protocol?: SubProtocol;
  /** In epoch seconds. */
  expires_at: number;
}

export interface FileItem extends Key, Attachment {
  room_id: string;
  uploader_id: string;
  created_at: Timestamp;
  /** In epoch seconds. Missing once a message has the file, and for files of a release whose uploads did not expire. */
  expires_at?: number;
  /**
   * The number of messages with the file. Missing before the first message, and for files of a release that did not
   * count. At 0, the file is deleted.
   */
  uses?: number;
}

export interface MessageItem extends Key {
  room_id: string;
  message_id: string;
  sender_id: string;
  client_message_id: string;
  text?: string;
  /** The first file. */
  attachment?: Attachment;
  /** All files. Missing if there is only one or none. */
  attachments?: readonly Attachment[];
  sent_at: Timestamp;
  /** The sender's username when the message was sent. */
  sender_name?: string;
  /** Missing for messages of users. */
  kind?: 'system';
  type?: string;
  /** JSON, like a room's `metadata`. */
  data?: string;
  reply_to?: string;
  edited_at?: Timestamp;
  deleted_at?: Timestamp;
  deleted_by?: string;
  /** The change number of its last edit or deletion. */
  change?: number;
}

/** Records a sent message, so that a retry stores nothing. */
export interface SentItem extends Key {
  message_id: string;
  /** A hash of the content. Missing in markers of earlier versions. */
  content_hash?: string;
  sent_at: Timestamp;
  /** In epoch seconds. */
  expires_at: number;
}

/**
 * The last number of each feed, the batch with the last numbers, and a batch whose events were sent although it will be
 * retried. For a room, also its last message. Never expires.
 */
export type SequenceItem = Key & { readonly [F in Feed]?: number } & {
  readonly [B in `${Feed}_batch` | `${Feed}_sent`]?: string;
} & {
  /** Whether the feed's events go through the room's lane: see docs/decisions/0032-lanes.md. */
  readonly [L in `${Exclude<Feed, 'user'>}_lane`]?: true;
} & Partial<LastMessage>;

/** The newest message that was delivered in a room. */
export interface LastMessage {
  readonly last_message_id: string;
  readonly last_sender_id: string;
}

/** The number of edits and deletions in a room, which is also the number of the last one. */
export interface ChangesItem extends Key {
  last: number;
}

/** Points from a change number to the message whose last change it is. */
export interface ChangeItem extends Key {
  message_id: string;
}

/** Records the room that a request with an `Idempotency-Key` created. */
export interface IdempotencyItem extends Key {
  request_hash: string;
  room: RoomItem;
  /** In epoch seconds. */
  expires_at: number;
}

const fromJson = (json: string | undefined): JsonObject | null => (json === undefined ? null : parseJsonObject(json));

export const toRoom = (item: RoomItem, now: Timestamp): Room => ({
  room_id: item.room_id,
  name: item.name,
  description: item.description ?? null,
  start_time: item.start_time,
  end_time: item.end_time ?? null,
  status: roomStatus(item, now),
  end_reason: item.end_reason ?? null,
  posting: item.posting ?? 'everyone',
  metadata: fromJson(item.metadata),
  end_warnings_seconds: [...(item.end_warnings_seconds ?? DEFAULT_END_WARNINGS_SECONDS)],
  announcements: [...(item.announcements ?? [])],
  created_by: item.created_by,
  created_at: item.created_at,
  updated_at: item.updated_at,
});

export const toMyRoom = (
  room: RoomItem,
  participant: Pick<ParticipantItem, 'username' | 'archive_room' | 'role' | 'read_to' | 'added_at'>,
  sequence: Partial<LastMessage> | undefined,
  caller: string,
  now: Timestamp,
): MyRoom => ({
  ...toRoom(room, now),
  is_admin: room.admins.has(caller),
  role: participant.role ?? 'member',
  username: participant.username ?? null,
  archive_room: participant.archive_room ?? false,
  read_to: participant.read_to ?? null,
  last_message_at: sequence?.last_message_id ? timeOf(sequence.last_message_id) : null,
  has_unread: hasUnread(participant, sequence, caller),
});

/** Messages up to this ID are not unread: the participant has read them, or was added later. */
export const readUpTo = ({ read_to = '', added_at }: Pick<ParticipantItem, 'read_to' | 'added_at'>): string => {
  const added = firstIdAt(added_at);
  return read_to > added ? read_to : added;
};

const hasUnread = (
  participant: Pick<ParticipantItem, 'read_to' | 'added_at'>,
  { last_message_id, last_sender_id }: Partial<LastMessage> = {},
  caller: string,
): boolean => last_message_id !== undefined && last_sender_id !== caller && last_message_id > readUpTo(participant);

/** Without an `item`, the participant is about to be written and has no profile. */
export const toProfile = (participant_id: string, item?: Partial<ParticipantItem>): Profile => ({
  participant_id,
  username: item?.username ?? null,
  archive_room: item?.archive_room ?? false,
});

export const toAddedParticipant = (participant_id: string, item?: Partial<ParticipantItem>): AddedParticipant => ({
  ...toProfile(participant_id, item),
  role: item?.role ?? 'member',
});

export const toParticipant = (
  participant_id: string,
  item: Partial<ParticipantItem> | undefined,
  is_admin: boolean,
): Participant => ({ ...toAddedParticipant(participant_id, item), is_admin });

/** The files of a message. */
export const attachmentsOf = ({ attachments, attachment }: MessageItem): Attachment[] =>
  attachments ? [...attachments] : attachment ? [attachment] : [];

export const toMessage = (item: MessageItem): Message => ({
  message_id: item.message_id,
  room_id: item.room_id,
  sender_id: item.sender_id,
  client_message_id: item.client_message_id,
  text: item.text ?? null,
  attachment: attachmentsOf(item)[0] ?? null,
  sent_at: item.sent_at,
  sender_name: item.sender_name ?? null,
  kind: item.kind ?? 'user',
  type: item.type ?? null,
  data: fromJson(item.data),
  reply_to: item.reply_to ?? null,
  attachments: attachmentsOf(item),
  edited_at: item.edited_at ?? null,
  deleted_at: item.deleted_at ?? null,
  deleted_by: item.deleted_by ?? null,
  change: item.change ?? null,
});
