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
import { usesV2 } from '../rules/protocol.ts';
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

/**
 * How long counters of frames are kept after their window, in seconds. Longer than SILENCE_SECONDS, because presence
 * checks read them.
 */
const FRAMES_KEPT_SECONDS = 600;

interface Joined {
  readonly room_id: string;
  readonly connection_id: string;
  readonly user_id: string;
}

/** The counters of one user's frames in one window. */
interface FramesItem extends Key {
  /** Frames of all connections. */
  readonly frames: number;
  /** How many of the frames were chat messages. */
  readonly messages?: number;
  /** In epoch seconds. */
  readonly expires_at: number;
}

/** The prefix of the attributes in a FramesItem that count one connection's frames. */
export const COUNT_OF = 'of ';

/** Returns the number of the window that contains a time. */
export const windowAt = (now: Timestamp): number => Math.floor(epochSeconds(now) / FRAME_WINDOW_SECONDS);

/** Returns the seconds until the end of the window that contains a time, rounded up. */
export const secondsToNextWindow = (now: Timestamp): number =>
  Math.max(1, Math.ceil((windowAt(now) + 1) * FRAME_WINDOW_SECONDS - Date.parse(now) / 1_000));

const maxUserFrames = (): number => Number(process.env.USER_FRAME_LIMIT ?? MAX_USER_FRAMES_PER_WINDOW);

/**
 * Counts a frame for its connection and its user, and so records that the connection is alive, all in one write. The
 * counters are in a separate item, because simultaneous frames would conflict in the connection's item. A rejected
 * frame is not counted.
 *
 * @returns how many messages the user has sent in this window over all connections, including this one
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
 * Adds a connection to a room: it receives the room's events, and others see its user as present. The write checks that
 * the user is a participant. Awaits `admitted` with the first read.
 *
 * @throws `room_not_started`, `room_ended`, `too_many_requests` if the user has too many connections in the room, and
 * as `membership` does
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
  // For rooms.v2 connections, the caller adds the room's last numbers, after the connection is stored.
  const alsoGet = usesV2({ protocol }) ? [] : [changesKey(room_id)];
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
    ...(usesV2({ protocol }) && { protocol }),
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
 * Removes a connection from a room at its client's request. If it was the participant's last one, others see them leave
 * at once. The participant's item is changed first, here and below. If the function stops in between, the connection's
 * item remains, which its disconnect or the next broadcast removes.
 *
 * @throws `try_again` if the user's other connections change with each attempt
 */
export async function leaveRoom({ room_id, connection_id, user_id }: Joined): Promise<void> {
  await leaveParticipant({ room_id, connection_id, user_id });
  await remove(connectionKey(room_id, connection_id));
}

async function leaveParticipant({ room_id, connection_id, user_id }: Joined): Promise<void> {
  const only = new Set([connection_id]);
  // If two connections of a user leave at the same time, each may find the other one at first. One of them then finds
  // that it is the last.
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

/** Removes a closed connection from a room. Others see its user leave only after the grace period. */
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
  /** A condition on the connection's item: a connection that has joined again in the meantime is kept. */
  readonly joined_at: Timestamp | undefined;
}

const sameJoin = ({ joined_at }: Detached) =>
  joined_at === undefined
    ? { ConditionExpression: 'attribute_exists(PK) AND attribute_not_exists(joined_at)' }
    : { ConditionExpression: 'joined_at = :joined', ExpressionAttributeValues: { ':joined': joined_at } };

/**
 * Removes an open connection from a room that has ended. Checks of the participant's connections end their presence.
 */
export const detachFromEnded = async (detached: Detached): Promise<void> => {
  await removeIf(connectionKey(detached.room_id, detached.connection_id), sameJoin(detached));
};

/** Removes an open connection from a room. Others see its user leave only after the grace period. */
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
  // A removed user has no participant item.
  if (!outcome.done && !outcome.refusals[0]?.refused) await detachFromEnded(detached);
}

/** Marks a participant as absent, unless they have joined or left again since `left_at`. Returns whether it did. */
export async function markAbsent(room_id: string, participant_id: string, left_at: Timestamp): Promise<boolean> {
  const { done } = await update<ParticipantItem>(participantKey(room_id, participant_id), {
    UpdateExpression: 'REMOVE present, left_at',
    ConditionExpression: 'attribute_not_exists(connections) AND left_at = :left_at',
    ExpressionAttributeValues: { ':left_at': left_at },
  });
  return done;
}

/** The data that is needed to send to a connection, or to disconnect it. */
/** `joined_at` is present only for rooms.v2 connections. */
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

/** Returns the data of some connections of a room. Connections that have left are missing. */
export async function recipientsOf(room_id: string, connection_ids: readonly string[]): Promise<Recipient[]> {
  const keys = connection_ids.map((connection_id) => connectionKey(room_id, connection_id));
  return (await getMany<ConnectionItem>(keys, { consistent: true })).map(toRecipient);
}

/** A connection that must be closed, and receives nothing more: see `markDisconnecting`. */
export interface Marked extends Recipient {
  /** Whether a rooms.v2 connection only has to leave the room. */
  readonly detach: boolean;
}

export interface RoomConnections {
  /** The connections that receive events. */
  readonly live: readonly Recipient[];
  readonly disconnecting: readonly Marked[];
  /** The keys of the marks in `disconnecting`. */
  readonly marks: readonly string[];
}

/**
 * Returns the connections that have joined a room, with a consistent read, so that a client that has just joined misses
 * nothing. Marks sort before connections, so one query reads both.
 *
 * @param atMost stops reading after more live connections than this. Default: no limit
 */
export async function connectionsOf(room_id: string, atMost = Number.POSITIVE_INFINITY): Promise<RoomConnections> {
  const marks: string[] = [];
  /** By connection ID: whether a rooms.v2 connection only has to leave the room. */
  const marked = new Map<string, boolean>();
  const removed = new Map<string, Timestamp>();
  const isRemoved = ({ participant_id, joined_at = '' }: Recipient & Pick<ConnectionItem, 'joined_at'>) => {
    const removed_at = removed.get(participant_id);
    return removed_at !== undefined && joined_at <= removed_at;
  };
  const live: Recipient[] = [];
  const disconnecting: Marked[] = [];
  const pages = queryAll<(Recipient & Pick<ConnectionItem, 'joined_at'>) | DisconnectingItem>({
    // Reads only these attributes. That saves no read units, but megabytes of data in large rooms.
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
        // The mark of a connection has priority, because it may require more than a removal does.
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
 * Returns the mark for the transaction that removes participants. After that, connections that joined before the
 * removal receive nothing more. One write is enough for all connections, without reading them.
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
 * Marks connections of a room that have missed something, or may no longer receive events, and could not be closed.
 * They receive nothing more. One write marks all of them, because a partition takes only 1,000 writes per second. The
 * mark is kept longer than any connection lasts.
 *
 * @param detach whether rooms.v2 connections only have to leave the room
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

/** Removes marks after all their connections were closed. */
export async function removeMarks(room_id: string, marks: readonly string[]): Promise<void> {
  await Promise.all(marks.map((mark_id) => remove(disconnectingKey(room_id, mark_id))));
}

/** Where a connection has joined or subscribed. */
export interface PlacesOfConnection {
  /** The rooms that it has joined. */
  readonly rooms: readonly string[];
  /** Whether it receives events about its user. */
  readonly isSubscribed: boolean;
}

/**
 * Returns the rooms and subscriptions of a connection. Eventually consistent: writes of the last second may be missing.
 */
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
