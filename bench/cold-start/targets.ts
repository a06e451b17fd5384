import { randomUUID } from 'node:crypto';
import { marshall } from '@aws-sdk/util-dynamodb';
import { monotonicFactory } from 'ulid';
import * as v from 'valibot';
import { allRoutes, routes } from '../../core/contract/index.ts';
import { actions, unknownAction } from '../../core/contract/realtime.ts';
import { SUB_PROTOCOL } from '../../core/contract/sub-protocols.ts';
import type { FanOutRequest } from '../../core/realtime/deliver.ts';
import type { Announcement } from '../../core/realtime/schedule.ts';
import { type MessageItem, type RoomItem, toMessage } from '../../core/store/items.ts';
import { messageKey, roomKey } from '../../core/store/keys.ts';
import { httpEntry, socketFunction } from '../../lib/entries.ts';
import { httpEvent } from '../../test/fixtures/event.ts';
import { newSocket, type RouteKey, socketEvent } from '../../test/fixtures/socket-event.ts';
import { calls, frames, newRoom } from '../common/world.ts';

/* The functions whose cold starts are measured, each with an event that succeeds. */

/** Users wait for `http`, `websocket` and `event`, but not for `background`. */
export type Kind = 'http' | 'websocket' | 'event' | 'background';

export interface Target {
  /** The name of the operation, the action, or the entry. */
  readonly name: string;
  readonly kind: Kind;
  /** The name of its bundle: see lib/entries.ts. */
  readonly entry: string;
}

/** The function for frames with an unknown action. */
export const DEFAULT = socketFunction(unknownAction.action);
const WEBSOCKET = ['authorizer', 'connect', 'disconnect', DEFAULT, ...Object.keys(actions)];
const EVENT = ['deliver-messages', 'fan-out'];
/** These functions are not primed. */
const BACKGROUND = ['room-changes', 'presence', 'announce'];

export const targets: readonly Target[] = [
  ...allRoutes.map((route): Target => ({ name: route.operation, kind: 'http', entry: httpEntry(route).name })),
  ...WEBSOCKET.map((name): Target => ({ name, kind: 'websocket', entry: name })),
  ...EVENT.map((name): Target => ({ name, kind: 'event', entry: name })),
  ...BACKGROUND.map((name): Target => ({ name, kind: 'background', entry: name })),
];

/** The event of functions that only read a room. */
export const GET_ROOM = 'getRoom';

const ulid = monotonicFactory();

/** Participants for leaveRoom: each can leave only once. */
const leaver = (n: number | string): string => `bench-leaver-${n}`;
const LEAVERS = Array.from({ length: 21 }, (_, n) => leaver(n));

/** Restores the state that a target needs to succeed again. */
export async function prepare(name: string, event: object): Promise<void> {
  if (name !== routes.leaveRoom.operation) return;
  const { participantKey, userRoomKey } = await import('../../core/store/keys.ts');
  const { writeItems } = await import('../../test/fixtures/write-items.ts');
  const { room_id } = v.parse(v.object({ pathParameters: v.object({ room_id: v.string() }) }), event).pathParameters;
  await writeItems(
    LEAVERS.map((participant_id) => ({
      ...participantKey(room_id, participant_id),
      ...userRoomKey(room_id, participant_id),
      room_id,
      participant_id,
    })),
  );
}

/**
 * Creates a room, and returns an event about it for each target. `%N%` in an event is replaced by the number of the
 * invocation.
 *
 * @param token an access token, for the authorizer
 * @param connections number of connections in the room to which functions post
 */
export async function newEvents(token: string, connections: number): Promise<ReadonlyMap<string, object>> {
  // Imported dynamically, because the client reads its endpoint from the environment on import.
  const { haveJoined } = await import('../../test/fixtures/write-items.ts');
  const { get } = await import('../../core/store/read.ts');
  const room = await newRoom();
  const { room_id } = room;
  const events = new Map<string, object>();
  for (const { operation, note, request } of calls(room))
    if (!note?.includes('key'))
      events.set(operation, httpEvent(routes[operation], { params: { room_id }, ...request }));

  const frameEvent = (key: RouteKey, fields: object) =>
    socketEvent(key, newSocket(room.member), JSON.stringify({ request_id: 'bench', ...fields }));
  for (const { action, fields } of frames(room)) events.set(action, frameEvent(action, { action, ...fields }));
  events.set('leaveRoom', httpEvent(routes.leaveRoom, { as: leaver('%N%'), params: { room_id } }));
  events.set(
    'message',
    frameEvent('message', { action: 'message', room_id, client_message_id: 'bench-%N%', text: 'x' }),
  );
  events.set(DEFAULT, frameEvent('$default', { action: 'unknown' }));
  const sockets = { disconnect: newSocket(room.member), leave: newSocket(room.member) };
  await haveJoined(
    room_id,
    Object.values(sockets).map((socket) => socket.connection_id),
    room.member,
  );
  events.set('disconnect', socketEvent('$disconnect', sockets.disconnect));
  events.set(
    'leave',
    socketEvent('leave', sockets.leave, JSON.stringify({ action: 'leave', request_id: 'bench', room_id })),
  );
  events.set('connect', {
    ...socketEvent('$connect', newSocket(room.member)),
    headers: { 'Sec-WebSocket-Protocol': SUB_PROTOCOL },
  });
  events.set('authorizer', {
    type: 'REQUEST',
    methodArn: 'arn:aws:execute-api:us-east-1:000000000000:bench/v1/$connect',
    headers: { Authorization: `Bearer ${token}` },
    requestContext: { requestId: 'bench', connectionId: 'bench' },
  });

  const { room_id: audience } = await newRoom();
  const listeners = Array.from({ length: connections }, () => newSocket(randomUUID()));
  await haveJoined(
    audience,
    listeners.map(({ connection_id }) => connection_id),
  );
  const message_id = ulid();
  const sent_at = new Date().toISOString();
  const message = {
    room_id: audience,
    message_id,
    sender_id: room.member,
    client_message_id: 'bench',
    text: 'x',
    sent_at,
  };
  const item: MessageItem = { ...messageKey(audience, message_id), ...message };
  const { PK, SK } = item;
  const change = { Keys: marshall({ PK, SK }), NewImage: marshall(item), SequenceNumber: '1' };
  events.set('deliver-messages', { Records: [{ eventID: 'bench-%N%', eventName: 'INSERT', dynamodb: change }] });
  const request: FanOutRequest = {
    room_id: audience,
    recipients: listeners.map(({ connection_id, user_id, token_expires_at }) => ({
      connection_id,
      participant_id: user_id,
      token_expires_at,
    })),
    task: {
      kind: 'send',
      events: [{ type: 'message', room_id: audience, data: toMessage(item), sent_at }],
    },
    time_left_ms: 20_000,
  };
  events.set('fan-out', request);

  const now = await get<RoomItem>(roomKey(audience));
  if (!now) throw new Error('The room is not there.');
  const renamed = {
    Keys: marshall(roomKey(audience)),
    OldImage: marshall({ ...now, name: 'Before' }),
    NewImage: marshall(now),
    SequenceNumber: '1',
  };
  events.set('room-changes', { Records: [{ eventID: 'bench-%N%', eventName: 'MODIFY', dynamodb: renamed }] });
  const absence = { room_id, participant_id: room.member, left_at: sent_at };
  events.set('presence', { Records: [{ messageId: 'bench-%N%', body: JSON.stringify(absence) }] });
  const announcement: Announcement = { room_id: audience, moment: 'start', time: now.start_time };
  events.set('announce', announcement);
  return events;
}
