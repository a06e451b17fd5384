/*
 * The keys of the single table. Access patterns first:
 *
 *   a room by its id                          PK ROOM#<room_id>   SK ROOM
 *   a participant of a room                   PK ROOM#<room_id>   SK PARTICIPANT#<user_id>
 *   the participants of a room, by user id    PK ROOM#<room_id>   SK begins with PARTICIPANT#
 *   … and how far each of them has read       attribute `read_to` of the same item, which only moves forward
 *   the rooms of a user, newest first         GSI1PK USER#<user_id>   GSI1SK ROOM#<room_id>, descending (UUIDv7 sorts by time)
 *   did this user leave, or were they removed? PK ROOM#<room_id>   SK LEFT#<user_id> (for a day)
 *   may only admins post in a room?           PK ROOM#<room_id>   SK LOCK#<n>, n from 0 to 15: all of them, or none
 *   a file of a room                          PK ROOM#<room_id>   SK FILE#<file_id>
 *   a message of a room                       PK CHAT#<room_id>   SK MESSAGE#<ulid>
 *   the messages of a room, by time           PK CHAT#<room_id>   SK begins with MESSAGE# (a ULID sorts by time)
 *   … and those after a read mark, counted    SK between MESSAGE#<ulid>! and MESSAGE#\uffff, at most 100
 *   how many changes of messages has this
 *   room had?                                 PK CHAT#<room_id>   SK CHANGES
 *   the messages that changed after change n,
 *   in order of their last change             PK CHAT#<room_id>   SK CHANGE#<number> > CHANGE#<n>, 12 digits each
 *   was this message sent already?            PK CHAT#<room_id>   SK SENT#<user_id>#<client_message_id>
 *   the connections that joined a room        PK ROOM#<room_id>   SK begins with CONNECTION#
 *   … the first 101 of them, for typing       the same, cut off
 *   those of them that are to be closed       PK ROOM#<room_id>   SK CONNECTION!<uuid> (sorts before CONNECTION#)
 *   the rooms that a connection joined        GSI1PK CONNECTION#<connection_id>   GSI1SK ROOM#<room_id>
 *   how much does this user send, and when
 *   was each of their connections heard?      PK USER#<user_id>   SK FRAMES#<window>
 *   how much has this user done?              PK USER#<user_id>   SK LIMIT#<limit>#<window>
 *   the connections that a user subscribed    PK USER#<user_id>   SK begins with CONNECTION#
 *   … and whether this one has                GSI1PK CONNECTION#<connection_id>   GSI1SK USER#<user_id>
 *   when is this participant's presence
 *   checked next?                             PK ROOM#<room_id>   SK LIVENESS#<user_id>
 *   how many messages has this room taken
 *   in this second?                           PK ROOM#<room_id>   SK RATE#<second>
 *   was this announcement sent?               PK ROOM#<room_id>   SK ANNOUNCED#<announcement_id> (stays as long as the room)
 *   was this warning of this end given?       PK ROOM#<room_id>   SK WARNED#<end_time>#<seconds>
 *   the last numbers of a room's feeds,
 *   and its last message                      PK ROOM#<room_id>   SK SEQUENCE
 *   the digests of presence in a large room   PK ROOM#<room_id>   SK PRESENCE
 *   what waits in the lanes of a large room   PK ROOM#<room_id>   SK LANE#<feed>#<number> (sorts by number)
 *   … and of a subscribed user's              PK USER#<user_id>   SK SEQUENCE
 *   was this room created already?            PK USER#<user_id>   SK IDEMPOTENCY#<key>
 *
 * Messages have a partition of their own, so that a busy chat does not slow the room it belongs to.
 */

export interface Key {
  readonly PK: string;
  readonly SK: string;
}

export const PARTICIPANT = 'PARTICIPANT#';
export const MESSAGE = 'MESSAGE#';
export const FILE = 'FILE#';
export const CONNECTION = 'CONNECTION#';
/** Sorts directly before CONNECTION, so that one query reads both, marks first. */
export const DISCONNECTING = 'CONNECTION!';
export const ROOM = 'ROOM';
const SENT = 'SENT#';
const LOCK = 'LOCK#';
export const LEFT = 'LEFT#';
export const CHANGE = 'CHANGE#';
const CHANGES = 'CHANGES';
export const FRAMES = 'FRAMES#';
export const ANNOUNCED = 'ANNOUNCED#';
export const WARNED = 'WARNED#';
export const SEQUENCE = 'SEQUENCE';
export const PRESENCE = 'PRESENCE';
/** The only index. The meaning of its keys depends on the kind of item. */
export const INDEX = 'GSI1';

export const roomPartition = (room_id: string): string => `ROOM#${room_id}`;
export const chatPartition = (room_id: string): string => `CHAT#${room_id}`;
export const userPartition = (user_id: string): string => `USER#${user_id}`;

export const roomKey = (room_id: string): Key => ({ PK: roomPartition(room_id), SK: ROOM });

export const participantKey = (room_id: string, user_id: string): Key => ({
  PK: roomPartition(room_id),
  SK: `${PARTICIPANT}${user_id}`,
});

/** Records that a participant left by themselves. */
export const leftKey = (room_id: string, user_id: string): Key => ({
  PK: roomPartition(room_id),
  SK: `${LEFT}${user_id}`,
});

export const livenessKey = (room_id: string, user_id: string): Key => ({
  PK: roomPartition(room_id),
  SK: `LIVENESS#${user_id}`,
});

/** Seconds since the epoch keep the same number of digits for centuries, so they sort as numbers. */
export const roomRateKey = (room_id: string, second: number): Key => ({
  PK: roomPartition(room_id),
  SK: `RATE#${second}`,
});

/** One of the items that exist only while the room is locked, so that only admins may post. */
export const lockKey = (room_id: string, n: number): Key => ({ PK: roomPartition(room_id), SK: `${LOCK}${n}` });

export const presenceDigestKey = (room_id: string): Key => ({ PK: roomPartition(room_id), SK: PRESENCE });

/** @param order the position in the lane */
export const laneKey = (room_id: string, feed: string, order: string): Key => ({
  PK: roomPartition(room_id),
  SK: `LANE#${feed}#${order}`,
});

export const announcedKey = (room_id: string, announcement_id: string): Key => ({
  PK: roomPartition(room_id),
  SK: `${ANNOUNCED}${announcement_id}`,
});

export const warnedKey = (room_id: string, end_time: string, seconds: number): Key => ({
  PK: roomPartition(room_id),
  SK: `${WARNED}${end_time}#${seconds}`,
});

export const roomSequenceKey = (room_id: string): Key => ({ PK: roomPartition(room_id), SK: SEQUENCE });
export const userSequenceKey = (user_id: string): Key => ({ PK: userPartition(user_id), SK: SEQUENCE });

/** The index key of a participant's room. */
export const userRoomKey = (room_id: string, user_id: string): { GSI1PK: string; GSI1SK: string } => ({
  GSI1PK: userPartition(user_id),
  GSI1SK: roomPartition(room_id),
});

export const fileKey = (room_id: string, file_id: string): Key => ({
  PK: roomPartition(room_id),
  SK: `${FILE}${file_id}`,
});

export const messageKey = (room_id: string, message_id: string): Key => ({
  PK: chatPartition(room_id),
  SK: `${MESSAGE}${message_id}`,
});

/** Counts the edits and deletions of a room's messages. */
export const changesKey = (room_id: string): Key => ({ PK: chatPartition(room_id), SK: CHANGES });

const CHANGE_DIGITS = 12;

/** Points to the changed message. With leading zeros, numbers sort as strings. */
export const changeKey = (room_id: string, change: number): Key => ({
  PK: chatPartition(room_id),
  SK: `${CHANGE}${String(change).padStart(CHANGE_DIGITS, '0')}`,
});

export const sentKey = (room_id: string, sender_id: string, client_message_id: string): Key => ({
  PK: chatPartition(room_id),
  SK: `${SENT}${sender_id}#${client_message_id}`,
});

export const idempotencyKey = (user_id: string, key: string): Key => ({
  PK: userPartition(user_id),
  SK: `IDEMPOTENCY#${key}`,
});

export const limitKey = (user_id: string, limit: string, window: number): Key => ({
  PK: userPartition(user_id),
  SK: `LIMIT#${limit}#${window}`,
});

export const connectionPartition = (connection_id: string): string => `${CONNECTION}${connection_id}`;

export const connectionKey = (room_id: string, connection_id: string): Key => ({
  PK: roomPartition(room_id),
  SK: connectionPartition(connection_id),
});

export const disconnectingKey = (room_id: string, mark_id: string): Key => ({
  PK: roomPartition(room_id),
  SK: `${DISCONNECTING}${mark_id}`,
});

/** The index key of the rooms that a connection has joined. */
export const connectionRoomKey = (room_id: string, connection_id: string): { GSI1PK: string; GSI1SK: string } => ({
  GSI1PK: connectionPartition(connection_id),
  GSI1SK: roomPartition(room_id),
});

/** Window numbers keep the same number of digits for centuries, so they sort as numbers. */
export const framesKey = (user_id: string, window: number): Key => ({
  PK: userPartition(user_id),
  SK: `${FRAMES}${window}`,
});

export const userConnectionKey = (user_id: string, connection_id: string): Key => ({
  PK: userPartition(user_id),
  SK: connectionPartition(connection_id),
});

/** Whether a key was created by `roomPartition`. */
export const isRoomPartition = (partition: string): boolean => partition.startsWith(roomPartition(''));

/** Returns the room ID in a key that `roomPartition` created. */
export const roomIdOf = (partition: string): string => partition.slice(roomPartition('').length);

/** The kind of an item, which its key determines. */
export type Kind =
  | 'room'
  | 'participant'
  | 'file'
  | 'lock'
  | 'message'
  | 'sent'
  | 'change'
  | 'changes'
  | 'connection'
  | 'subscription'
  | 'announced'
  /** The kinds of items that expire, and on which nothing else depends. */
  | 'other';

/** Returns the kind of an item, and the ID of its room, if it belongs to one. */
export function kindOf({ PK, SK }: Key): { readonly kind: Kind; readonly room_id?: string } {
  const chat = chatPartition('');
  if (isRoomPartition(PK)) {
    const room_id = roomIdOf(PK);
    if (SK === ROOM) return { kind: 'room', room_id };
    if (SK.startsWith(PARTICIPANT)) return { kind: 'participant', room_id };
    if (SK.startsWith(FILE)) return { kind: 'file', room_id };
    if (SK.startsWith(ANNOUNCED)) return { kind: 'announced', room_id };
    if (SK.startsWith(CONNECTION)) return { kind: 'connection', room_id };
    if (SK.startsWith(LOCK)) return { kind: 'lock', room_id };
    return { kind: 'other', room_id };
  }
  if (PK.startsWith(chat)) {
    const room_id = PK.slice(chat.length);
    if (SK.startsWith(MESSAGE)) return { kind: 'message', room_id };
    if (SK.startsWith(CHANGE)) return { kind: 'change', room_id };
    if (SK === CHANGES) return { kind: 'changes', room_id };
    return SK.startsWith(SENT) ? { kind: 'sent', room_id } : { kind: 'other', room_id };
  }
  return { kind: SK.startsWith(CONNECTION) ? 'subscription' : 'other' };
}

/** Returns the user ID in a key that `userPartition` created. */
export const userIdOf = (partition: string): string => partition.slice(userPartition('').length);
