import { PutCommand } from '@aws-sdk/lib-dynamodb';
import { RoomsError } from '../contract/errors.ts';
import {
  CONNECTION_TTL_SECONDS,
  FRAME_WINDOW_SECONDS,
  MAX_CONNECTIONS_PER_PARTICIPANT,
  MAX_FRAMES_PER_WINDOW,
  MAX_USER_FRAMES_PER_WINDOW,
  MAX_USER_MESSAGES_PER_WINDOW,
} from '../contract/limits.ts';
import type { JoinedRoom } from '../contract/realtime.ts';
import type { SubProtocol } from '../contract/sub-protocols.ts';
import { settleAll } from '../platform/settle-all.ts';
import { speaksV2 } from '../rules/protocol.ts';
import { epochSeconds, type Timestamp } from '../rules/time.ts';
import { liveMembership } from './access.ts';
import { dynamodb, tableName } from './client.ts';
import {
  type ChangesItem,
  type ConnectionItem,
  type DisconnectingItem,
  type ParticipantItem,
  type SequenceItem,
  toMyRoom,
} from './items.ts';
import {
  CONNECTION,
  changesKey,
  connectionKey,
  connectionPartition,
  connectionRoomKey,
  DISCONNECTING,
  disconnectingKey,
  framesKey,
  INDEX,
  isRoomPartition,
  type Key,
  participantKey,
  roomIdOf,
  roomPartition,
  roomSequenceKey,
} from './keys.ts';
import { getMany, queryAll } from './read.ts';
import { CONFLICT_ATTEMPTS, remove, removeIf, transact, update } from './write.ts';

/** How long counted frames are kept after their window, in seconds: longer than SILENCE_SECONDS, for which they are looked at. */
const FRAMES_KEPT_SECONDS = 600;

interface Joined {
  readonly room_id: string;
  readonly connection_id: string;
  readonly user_id: string;
}

/** The frames of one user in one window. */
interface FramesItem extends Key {
  /** Over all connections. */
  readonly frames: number;
  /** How many of these were chat messages. */
  readonly messages?: number;
  /** In epoch seconds. */
  readonly expires_at: number;
}

/** What the attributes of a FramesItem begin with that count the frames of one connection. */
export const COUNT_OF = 'of ';

/** Returns the number of the window that a time is in. */
export const windowAt = (now: Timestamp): number => Math.floor(epochSeconds(now) / FRAME_WINDOW_SECONDS);

/** Returns the seconds until the window ends that a time is in, rounded up. */
export const secondsToNextWindow = (now: Timestamp): number =>
  Math.max(1, Math.ceil((windowAt(now) + 1) * FRAME_WINDOW_SECONDS - Date.parse(now) / 1_000));

const maxUserFrames = (): number => Number(process.env.USER_FRAME_LIMIT ?? MAX_USER_FRAMES_PER_WINDOW);

/**
 * Counts a frame, of its connection and of its user, and so records that the connection is alive: one write for all three. The counter is
 * an item of its own: in the connection's, frames that arrive together would conflict. A refused frame is not counted.
 *
 * @returns the messages that the user has sent in this window, over all connections, this one included
 * @throws `too_many_requests`, with the seconds until the window ends
 */
export async function admitFrame({
  connection_id,
  user_id,
  isMessage = false,
  now,
}: Omit<Joined, 'room_id'> & { isMessage?: boolean; now: Timestamp }): Promise<number> {
  const window = windowAt(now);
  const ends = (window + 1) * FRAME_WINDOW_SECONDS;
  const max = maxUserFrames();
  const outcome = await update<FramesItem>(framesKey(user_id, window), {
    UpdateExpression: `ADD frames :one, #connection :one${isMessage ? ', messages :one' : ''} SET expires_at = :expiry`,
    ConditionExpression:
      '(attribute_not_exists(frames) OR frames < :user_max) AND ' +
      '(attribute_not_exists(#connection) OR #connection < :max)' +
      (isMessage ? ' AND (attribute_not_exists(messages) OR messages < :messages_max)' : ''),
    ExpressionAttributeNames: { '#connection': `${COUNT_OF}${connection_id}` },
    ExpressionAttributeValues: {
      ':one': 1,
      ':max': MAX_FRAMES_PER_WINDOW,
      ':user_max': max,
      ...(isMessage && { ':messages_max': MAX_USER_MESSAGES_PER_WINDOW }),
      ':expiry': ends + FRAMES_KEPT_SECONDS,
    },
  });
  if (outcome.done) return outcome.item.messages ?? 0;
  const retryAfter = secondsToNextWindow(now);
  throw new RoomsError(
    'too_many_requests',
    [
      {
        message:
          `At most ${MAX_FRAMES_PER_WINDOW} frames of one connection, ${max} of all your connections, and ` +
          `${MAX_USER_MESSAGES_PER_WINDOW} messages of all your connections, in ${FRAME_WINDOW_SECONDS} seconds. Try again in ${retryAfter} seconds.`,
      },
    ],
    { retryAfter },
  );
}

/**
 * Lets a connection receive a room's events, and others see its user there. That the user is a participant is part of the
 * write. Throws `room_not_started`, `room_ended`, `too_many_requests` where the user has too many connections in the room, and as
 * `membership` does; `admitted` is awaited with the first read.
 */
export async function joinRoom({
  room_id,
  connection_id,
  user_id,
  token_expires_at,
  ping_interval_seconds,
  protocol,
  now,
  admitted,
}: Joined & {
  token_expires_at: number;
  ping_interval_seconds?: number | undefined;
  protocol?: SubProtocol;
  now: Timestamp;
  admitted: Promise<unknown>;
}): Promise<JoinedRoom> {
  // A connection of rooms.v2 gets it with its numbers, after it is stored.
  const alsoGet = speaksV2({ protocol }) ? [] : [changesKey(room_id)];
  const [, { room, participant, extra }] = await settleAll([
    admitted,
    liveMembership<[SequenceItem, ...ChangesItem[]]>(room_id, user_id, now, roomSequenceKey(room_id), ...alsoGet),
  ]);
  const item: ConnectionItem = {
    ...connectionKey(room_id, connection_id),
    ...connectionRoomKey(room_id, connection_id),
    room_id,
    connection_id,
    participant_id: user_id,
    token_expires_at,
    joined_at: now,
    ...(ping_interval_seconds !== undefined && { ping_interval_seconds }),
    ...(speaksV2({ protocol }) && { protocol }),
    expires_at: epochSeconds(now) + CONNECTION_TTL_SECONDS,
  };
  const outcome = await transact([
    {
      Update: {
        Key: participantKey(room_id, user_id),
        UpdateExpression: 'ADD connections :connection SET present = :true REMOVE left_at',
        ConditionExpression:
          'attribute_exists(PK) AND ' +
          '(attribute_not_exists(connections) OR size(connections) < :max OR contains(connections, :id))',
        ExpressionAttributeValues: {
          ':connection': new Set([connection_id]),
          ':id': connection_id,
          ':max': MAX_CONNECTIONS_PER_PARTICIPANT,
          ':true': true,
        },
      },
    },
    { Put: { Item: item } },
  ]);
  if (!outcome.done && outcome.refusals[0]?.old)
    throw new RoomsError('too_many_requests', [
      {
        message: `At most ${MAX_CONNECTIONS_PER_PARTICIPANT} connections of a user may have joined a room. Leave it on another one, or close one.`,
      },
    ]);
  if (!outcome.done) throw new RoomsError('not_a_participant');
  return { ...toMyRoom(room, participant, extra[0], user_id, now), last_change: extra[1]?.last ?? 0 };
}

/**
 * Takes a connection out of a room at its own wish: when it was the participant's last, others see them leave at once.
 * The participant's item is changed first, here and below: a function that dies in between leaves an item of the connection,
 * which its disconnection or the next broadcast finds.
 *
 * @throws `try_again` where the user's other connections join and leave with each attempt
 */
export async function leaveRoom({ room_id, connection_id, user_id }: Joined): Promise<void> {
  await leaveParticipant({ room_id, connection_id, user_id });
  await remove(connectionKey(room_id, connection_id));
}

async function leaveParticipant({ room_id, connection_id, user_id }: Joined): Promise<void> {
  const only = new Set([connection_id]);
  // Two connections of a user that leave together each find the other there at first, and one of them then finds itself the last.
  for (let attempt = 1; attempt <= CONFLICT_ATTEMPTS; attempt++) {
    const last = await update<ParticipantItem>(participantKey(room_id, user_id), {
      UpdateExpression: 'REMOVE connections, present, left_at',
      ConditionExpression: 'connections = :only',
      ExpressionAttributeValues: { ':only': only },
    });
    if (last.done || !last.old?.connections?.has(connection_id)) return;
    const one = await update<ParticipantItem>(participantKey(room_id, user_id), {
      UpdateExpression: 'DELETE connections :only',
      ConditionExpression: 'contains(connections, :id) AND connections <> :only',
      ExpressionAttributeValues: { ':only': only, ':id': connection_id },
    });
    if (one.done) return;
  }
  throw new RoomsError('try_again');
}

/** Takes a connection that is gone out of a room. Others see its user leave only if they do not come back soon. */
export async function dropConnection({
  room_id,
  connection_id,
  user_id,
  now,
}: Joined & { now: Timestamp }): Promise<void> {
  await update<ParticipantItem>(participantKey(room_id, user_id), {
    UpdateExpression: 'DELETE connections :connection SET left_at = :now',
    ConditionExpression: 'contains(connections, :id)',
    ExpressionAttributeValues: { ':connection': new Set([connection_id]), ':id': connection_id, ':now': now },
  });
  await remove(connectionKey(room_id, connection_id));
}

interface Detached extends Joined {
  /** Of the connection's item: one that has joined again since is left alone. */
  readonly joined_at: Timestamp | undefined;
}

const sameJoin = ({ joined_at }: Detached) =>
  joined_at === undefined
    ? { ConditionExpression: 'attribute_exists(PK) AND attribute_not_exists(joined_at)' }
    : { ConditionExpression: 'joined_at = :joined', ExpressionAttributeValues: { ':joined': joined_at } };

/** Takes a connection that stays open out of a room that has ended. The checks of its participant end their presence. */
export const detachFromEnded = async (detached: Detached): Promise<void> => {
  await removeIf(connectionKey(detached.room_id, detached.connection_id), sameJoin(detached));
};

/** Takes a connection that stays open out of a room. Others see its user leave only if they do not come back soon. */
export async function detachConnection(detached: Detached & { now: Timestamp }): Promise<void> {
  const { room_id, connection_id, user_id, now } = detached;
  const outcome = await transact([
    { Delete: { Key: connectionKey(room_id, connection_id), ...sameJoin(detached) } },
    {
      Update: {
        Key: participantKey(room_id, user_id),
        UpdateExpression: 'DELETE connections :connection SET left_at = :now',
        ConditionExpression: 'contains(connections, :id)',
        ExpressionAttributeValues: { ':connection': new Set([connection_id]), ':id': connection_id, ':now': now },
      },
    },
  ]);
  // Of a user who was removed, there is no participant.
  if (!outcome.done && !outcome.refusals[0]?.refused) await detachFromEnded(detached);
}

/** Ends a participant's presence, unless they have joined again, or left once more, since `left_at`. Returns whether it did. */
export async function markAbsent(room_id: string, participant_id: string, left_at: Timestamp): Promise<boolean> {
  const { done } = await update<ParticipantItem>(participantKey(room_id, participant_id), {
    UpdateExpression: 'REMOVE present, left_at',
    ConditionExpression: 'attribute_not_exists(connections) AND left_at = :left_at',
    ExpressionAttributeValues: { ':left_at': left_at },
  });
  return done;
}

/** What has to be known of a connection to send it something, or to disconnect it. */
/** `joined_at` is given only of connections that speak rooms.v2. */
export type Recipient = Pick<
  ConnectionItem,
  'connection_id' | 'participant_id' | 'token_expires_at' | 'protocol' | 'joined_at'
>;

const toRecipient = ({
  connection_id,
  participant_id,
  token_expires_at,
  protocol,
  joined_at,
}: Recipient): Recipient => ({
  connection_id,
  participant_id,
  token_expires_at,
  ...(protocol && { protocol, ...(joined_at !== undefined && { joined_at }) }),
});

/** Returns what is known of some connections of a room. Those that are no longer in it are missing. */
export async function recipientsOf(room_id: string, connection_ids: readonly string[]): Promise<Recipient[]> {
  const keys = connection_ids.map((connection_id) => connectionKey(room_id, connection_id));
  return (await getMany<ConnectionItem>(keys, { consistent: true })).map(toRecipient);
}

/** A connection that is to be closed, and to which nothing more is sent: see `markDisconnecting`. */
export interface Marked extends Recipient {
  /** Whether it need only leave the room if it speaks rooms.v2. */
  readonly detach: boolean;
}

export interface RoomConnections {
  /** The connections that events are sent to. */
  readonly live: readonly Recipient[];
  readonly disconnecting: readonly Marked[];
  /** The marks that `disconnecting` comes from. */
  readonly marks: readonly string[];
}

/**
 * Returns the connections that have joined a room: consistent, so that a client that has just joined misses nothing. Marks sort
 * before connections, so that one query reads both.
 *
 * @param atMost stops reading when more live connections than these have been found; default: reads all
 */
export async function connectionsOf(room_id: string, atMost = Number.POSITIVE_INFINITY): Promise<RoomConnections> {
  const marks: string[] = [];
  /** By connection: whether it need only leave the room. */
  const marked = new Map<string, boolean>();
  const removed = new Map<string, Timestamp>();
  const isRemoved = ({ participant_id, joined_at = '' }: Recipient & Pick<ConnectionItem, 'joined_at'>) => {
    const removed_at = removed.get(participant_id);
    return removed_at !== undefined && joined_at <= removed_at;
  };
  const live: Recipient[] = [];
  const disconnecting: Marked[] = [];
  const pages = queryAll<(Recipient & Pick<ConnectionItem, 'joined_at'>) | DisconnectingItem>({
    // It costs as much as all of the item, but of a large room it is megabytes less to read and to hold.
    ProjectionExpression:
      'connection_id, participant_id, token_expires_at, protocol, joined_at, mark_id, connections, participants, detach_only, disconnecting_since',
    KeyConditionExpression: 'PK = :room AND SK BETWEEN :first AND :last',
    ExpressionAttributeValues: {
      ':room': roomPartition(room_id),
      ':first': DISCONNECTING,
      ':last': `${CONNECTION}\uffff`,
    },
    ConsistentRead: true,
    ...(Number.isFinite(atMost) && { Limit: atMost + 1 }),
  });
  for await (const page of pages) {
    for (const item of page) {
      if ('mark_id' in item) {
        marks.push(item.mark_id);
        for (const connection_id of item.connections ?? [])
          marked.set(connection_id, (marked.get(connection_id) ?? true) && (item.detach_only ?? false));
        for (const user_id of item.participants ?? [])
          if (item.disconnecting_since > (removed.get(user_id) ?? '')) removed.set(user_id, item.disconnecting_since);
      } else {
        // A mark of the connection itself goes first: it may ask for more than a removal does.
        const detach = marked.get(item.connection_id) ?? (isRemoved(item) || undefined);
        if (detach === undefined) live.push(toRecipient(item));
        else disconnecting.push({ ...toRecipient(item), detach });
      }
    }
    if (live.length > atMost) break;
  }
  return { live, disconnecting, marks };
}

function newMark(room_id: string, now: Timestamp): DisconnectingItem {
  const mark_id = crypto.randomUUID();
  return {
    ...disconnectingKey(room_id, mark_id),
    room_id,
    mark_id,
    disconnecting_since: now,
    expires_at: epochSeconds(now) + CONNECTION_TTL_SECONDS,
  };
}

/**
 * Returns the mark that goes with a removal of participants, in the same transaction: from then on, nothing is sent to connections that
 * they joined with before. One write, and no need to know the connections.
 */
export const removalMark = (
  room_id: string,
  participant_ids: readonly string[],
  now: Timestamp,
): DisconnectingItem => ({
  ...newMark(room_id, now),
  participants: new Set(participant_ids),
});

/**
 * Marks connections of a room that have missed something, or may no longer listen, and could not be closed. Nothing more is sent
 * to them. One write for all of them, because a partition takes 1,000 writes a second. The mark outlives the longest connection.
 *
 * @param detach whether those of rooms.v2 need only leave the room
 */
export async function markDisconnecting(
  room_id: string,
  connection_ids: readonly string[],
  now: Timestamp,
  detach = false,
): Promise<void> {
  const item: DisconnectingItem = {
    ...newMark(room_id, now),
    connections: new Set(connection_ids),
    ...(detach && { detach_only: true }),
  };
  await dynamodb.send(new PutCommand({ TableName: tableName(), Item: item }));
}

/** Removes marks of a room whose connections have all been closed. */
export async function removeMarks(room_id: string, marks: readonly string[]): Promise<void> {
  await Promise.all(marks.map((mark_id) => remove(disconnectingKey(room_id, mark_id))));
}

/** Where a connection is known. */
export interface PlacesOfConnection {
  /** The rooms that it has joined. */
  readonly rooms: readonly string[];
  /** Whether it receives the events about its user. */
  readonly isSubscribed: boolean;
}

/** Returns where a connection is known. Eventually consistent: what was written this very second may be missing. */
export async function placesOfConnection(connection_id: string): Promise<PlacesOfConnection> {
  const places: string[] = [];
  const pages = queryAll<Key & { GSI1SK: string }>({
    IndexName: INDEX,
    KeyConditionExpression: 'GSI1PK = :connection',
    ExpressionAttributeValues: { ':connection': connectionPartition(connection_id) },
  });
  for await (const page of pages) places.push(...page.map(({ GSI1SK }) => GSI1SK));
  const rooms = places.filter(isRoomPartition).map(roomIdOf);
  return { rooms, isSubscribed: rooms.length < places.length };
}
