import type { ActionName, DetachedFrame, EventName, EventsFrame, RoomEventOf } from '../../core/contract/realtime.ts';
import { ANSWER_EXAMPLES, SENT_AT } from './openapi-texts.ts';

/*
 * Texts and examples of the pages on the WebSocket API and the event bus. They are separate from core/contract/realtime.ts, because bundles
 * contain that file, and no function needs the texts.
 */

const { room, myRoom, profile, removedParticipant, readMark, message } = ANSWER_EXAMPLES;
const peer = { participant_id: profile.participant_id, username: profile.username };
const { room_id } = room;

/** Fields by name. They take precedence over the fields of the HTTP API, and `owner.field` over plain `field`. */
export const REALTIME_FIELDS: Readonly<Record<string, string>> = {
  action: 'Name of the action.',
  request_id: 'Chosen by the client, 1 to 128 characters. The reply has the same `request_id`.',
  sent_at: 'When the service created the event.',
  data: 'Data of the event.',
  ping_interval_seconds:
    'Interval, 1 to 240 seconds, within which the client promises to send a frame, for example `ping`. If no frame arrives for twice the ' +
    'interval and 30 seconds, but at least for 200 seconds, the service closes the connection and the participant goes offline. Without this field, the ' +
    'client may be silent.',
  'message.client_message_id':
    'Your ID of the message: 1 to 128 letters, digits or `.` `_` `:` `-`. Use the same ID when you retry.',
  'message.text': 'Text of the message. Required if there are no files and no `data`.',
  'message.attachment': 'One file that you have uploaded to this room: the same as `attachments` with this file only.',
  'message.attachments':
    'Files that you have uploaded to this room, at most 10, each once. Cannot be combined with `attachment`.',
  'message.type':
    'Type of the message, which your application defines, 1 to 64 characters. The service does not interpret it.',
  'message.data':
    'JSON object of your application: at most 4 KiB as JSON, nested at most 32 levels deep, without the key `__proto__`.',
  'message.reply_to': 'ID of the message of this room that this one replies to.',
  'ping.time': 'Current time of the service.',
  'ping.rooms':
    'In the frame: at most 50 rooms that this connection has joined. In the reply: by room ID, the last numbers of its feeds. A room ' +
    'that the connection is not in, or no longer in, is missing.',
  'ping.subscribed': 'True asks for the last number of the feed `user`.',
  'ping.user': 'The last number of the feed `user`. Missing if the connection has not subscribed.',
  'subscribe.participant_id': 'Your own user ID.',
  'subscribe.seq': 'The last number of the feed `user`. Present only if the connection uses `rooms.v2`.',
  'MyRoom.joined_at':
    'When this connection joined. A `detached` frame contains it to identify the join that has ended. Present only if the connection uses `rooms.v2`.',
  'MyRoom.seq': 'The last numbers of the room’s feeds. Present only if the connection uses `rooms.v2`.',
  'Seq.messages': 'The number of the last message.',
  'Seq.changes': 'The number of the last other event.',
  'MyRoom.last_change':
    'Number of the last edit or deletion of a message in the room, 0 if there was none. See [edits and deletions](#edits-and-deletions).',
  'room_ending.ends_at': 'When the room ends.',
  'room_ending.seconds_left': 'Seconds from the warning to the end, as in `end_warnings_seconds`.',
  'typing.typing': 'Whether the participant is typing.',
  'participant_removed.reason': '`left`: the participant left. `removed`: an admin removed them.',
  'presence.count': 'How many participants are online.',
  'presence.joined': 'Users who came online since the last `presence` event. Missing in the largest rooms.',
  'presence.left': 'Users who went offline since the last `presence` event. Missing in the largest rooms.',
  feed: 'Which sequence the numbers are from.',
  seq: 'The number of the first event. Each further event has the next one. In a frame without events, all lower numbers were assigned.',
  events: 'Events, each with its `type` and its `data`.',
  joined_at:
    'The value from the reply to the `join` that has ended. Ignore the frame if the connection has joined again since.',
  reason: 'Why. Treat reasons that you do not know like `removed`.',
};

export const FRAME_EXAMPLES: Readonly<Record<ActionName, object>> = {
  join: { action: 'join', request_id: '1', room_id, ping_interval_seconds: 60 },
  leave: { action: 'leave', request_id: '4', room_id },
  message: {
    action: 'message',
    request_id: '2',
    room_id,
    client_message_id: message.client_message_id,
    text: message.text,
    attachment: { file_id: message.attachment?.file_id },
  },
  ping: { action: 'ping', request_id: '3', rooms: [room_id], subscribed: true },
  subscribe: { action: 'subscribe', request_id: '5' },
  typing: { action: 'typing', request_id: '6', room_id, typing: true },
};

export const REPLY_EXAMPLES: Readonly<Record<ActionName, unknown>> = {
  join: { ...myRoom, last_change: 6, seq: { messages: 40, changes: 12 }, joined_at: SENT_AT },
  leave: { room_id },
  message,
  ping: { time: SENT_AT, rooms: { [room_id]: { messages: 41, changes: 12 } }, user: 3 },
  subscribe: { participant_id: profile.participant_id, seq: 3 },
  typing: { room_id },
};

/** `data` of each event. */
export const EVENT_EXAMPLES: { readonly [Name in EventName]: RoomEventOf<Name>['data'] } = {
  message,
  message_updated: { ...message, text: 'Here is the plan for tomorrow.', edited_at: SENT_AT, change: 7 },
  message_deleted: {
    ...message,
    text: null,
    attachment: null,
    attachments: [],
    deleted_at: SENT_AT,
    deleted_by: message.sender_id,
    change: 8,
  },
  typing: { ...peer, typing: true },
  read: readMark,
  peer_joined: peer,
  peer_left: peer,
  room_created: room,
  participant_added: { ...profile, role: 'member', username: null },
  participant_removed: { ...removedParticipant, reason: 'removed' },
  participant_updated: { participant_id: profile.participant_id, is_admin: true },
  room_updated: { ...room, name: 'Stand-up, team Blue', updated_at: SENT_AT },
  room_started: { ...room, start_time: '2026-03-02T09:05:00.000Z' },
  room_ending: { ends_at: '2026-03-02T09:10:00.000Z', seconds_left: 300 },
  room_ended: { ...room, status: 'ended', end_time: SENT_AT, end_reason: 'Shift is over', updated_at: SENT_AT },
  presence: { count: 214, joined: [peer], left: [] },
};

export const EVENTS_FRAME_EXAMPLE: EventsFrame = {
  type: 'events',
  room_id,
  feed: 'messages',
  seq: 41,
  sent_at: SENT_AT,
  events: [
    { type: 'message', data: message },
    { type: 'message', data: { ...message, message_id: '01KJPWN0C2M8Y5TQ7RZV4K9EBH', text: 'See you at ten.' } },
  ],
};

export const DETACHED_FRAME_EXAMPLE: DetachedFrame = {
  type: 'detached',
  room_id,
  reason: 'removed',
  joined_at: SENT_AT,
  sent_at: SENT_AT,
  events: [{ type: 'participant_removed', data: { ...removedParticipant, reason: 'removed' } }],
};

export const BUS_INTRODUCTION = `
# Event reference

For developers of back ends that receive events of rooms from Amazon EventBridge. [Receive events](../guides/receive-events.md) shows how to set up a rule.

The event bus is named by the output \`EventBusName\` of the stack \`rooms-<environment>-realtime\`, such as \`rooms-prod\`.

- \`source\` is \`rooms\`, \`detail-type\` is the event type, and \`detail\` is \`{"room_id", "data", "sent_at"}\`.
- \`data\` describes the current state, not the change, so processing an event twice is harmless. It is the state at the time of sending.
- Delivery is at least once and unordered. Of two events about the same room, the one with the later \`data.updated_at\` or \`sent_at\` is current.
- Several changes that are processed together can produce one event. A change that was undone in the meantime produces none: a user who is removed and
  immediately added again produces only \`participant_added\`.
- Chat messages and presence are not on the bus. The service sends them only to WebSocket clients (see [the WebSocket API](websocket.md)).
- A room that starts when it is created produces no \`room_started\`. \`data.status\` of its \`room_created\` is \`started\`.
- Scheduled starts and ends (\`room_started\`, \`room_ended\`) are sent within a minute. If an admin ends a room, \`room_ended\` is sent immediately.
- Later versions may add event types and fields: ignore those that you do not know.

The same schemas are in [events.schema.json](../events.schema.json) as JSON Schema.
`.trim();

export const SOCKET_INTRODUCTION = `
# WebSocket API reference

For developers who write their own WebSocket client. The [client SDK](../../client/README.md) implements everything on this page.

## Connect

The URL is the output \`WebSocketUrl\` of the stack \`rooms-<environment>-realtime\`: \`wss://…/v1\`. Send an access token in one of two places, never in the URL:

- Outside browsers, send the header \`Authorization: Bearer <access token>\`.
- In browsers, which cannot set headers, send the token as a sub-protocol:

\`\`\`js
const socket = new WebSocket(url, ['__SUB_PROTOCOL_V2__', '__SUB_PROTOCOL__', \`__BEARER__\${token}\`]);
\`\`\`

Without a valid token, the handshake fails with 401. If the client offers only sub-protocols that the service does not know, it fails with 400. Every origin may
connect: the API uses no cookies, so a page needs the token.

## Protocol versions

The service chooses the newest version that the client offers: \`__SUB_PROTOCOL_V2__\`, then \`__SUB_PROTOCOL__\`. A client that offers none, for example because it
authenticates with the header, gets \`__SUB_PROTOCOL__\`. It can offer \`__SUB_PROTOCOL_V2__\` in addition to the header. The replies to \`join\` and \`subscribe\` have \`seq\` only on a
\`__SUB_PROTOCOL_V2__\` connection.

| | \`__SUB_PROTOCOL__\` | \`__SUB_PROTOCOL_V2__\` |
|---|---|---|
| Events | one frame per event | one frame for all events that are ready for a room |
| Missed events | not visible: read history after each reconnect | visible as a gap in the numbers: read history only after a gap |
| An event that cannot be delivered | the connection is closed | the event is skipped, the connection stays open |
| The room ends, or the user is removed | the connection is closed | the service sends a \`detached\` frame, the connection stays open |

With both versions, a connection ends in these cases:

- after 2 hours
- after 10 minutes without a frame in either direction: send \`ping\`
- after the token has expired: frames get \`token_expired\`, and the next event closes the connection
- when the client does not read its frames

Then connect again, join again, and read missed messages from \`GET /participant/room/{room_id}/chat\`. History has exactly the messages that were delivered, as they are now.

## Edits and deletions

\`message_updated\` and \`message_deleted\` have the whole message as it is now. The edits and deletions of a room are numbered one by one: \`change\` is the number of the last one of
a message. Keep a position \`p\` for each room: at first \`last_change\` in the reply to \`join\`.

1. Drop an event whose \`change\` is \`p\` or less.
2. Apply an event whose \`change\` is \`p + 1\`, and move \`p\` there.
3. If \`change\` is higher, you have missed some: read \`GET /participant/room/{room_id}/chat/change?after=p\` until \`next_cursor\` is \`null\`, and move \`p\` to the highest \`change\`. Several edits
   of one message can be one event or one entry, so numbers can be missing there.
4. After a reconnect, read the same if \`last_change\` is higher than \`p\`, or if messages are missing. With \`__SUB_PROTOCOL__\`, always read. If \`last_change\` is lower, the table was
   restored: read everything you need.

Apply a message only if its \`change\` is higher than that of the one you have. A new message can have been edited or deleted before you receive it.

## Frames

A frame is a JSON object, sent as text.

| Limit | Value | Above the limit |
|---|---|---|
| Size of a frame | __FRAME_BYTES__ bytes | API Gateway closes the connection |
| Frames of one connection | __FRAMES__ in __WINDOW__ seconds | \`too_many_requests\` |
| Frames of one user, over all connections | __USER_FRAMES__ in __WINDOW__ seconds | \`too_many_requests\` |
| Messages of one user, over all connections | __USER_MESSAGES__ in __WINDOW__ seconds | \`too_many_requests\` |
| Messages of one user, in a room with more than 100 participants online | __LARGE_ROOM_POSTS__ divided by the participants online, in __WINDOW__ seconds; at least 2 | \`too_many_requests\` |
| Messages of all users in one room | __ROOM_MESSAGES__ in a second | \`too_many_requests\` |
| Connections of one user in a room | __CONNECTIONS__ | \`too_many_requests\` |

For \`too_many_requests\`, \`error.retry_after\` is the number of seconds to wait. Each frame that you send has an \`action\` and gets exactly one reply:

\`\`\`json
{ "type": "reply", "request_id": "1", "ok": true, "data": {} }
{ "type": "reply", "request_id": "2", "ok": false, "error": { "code": "room_ended", "message": "This room has ended." } }
{ "type": "reply", "request_id": "3", "ok": false, "error": { "code": "invalid_request", "message": "room_id must be a UUID",
  "errors": [{ "code": "invalid_request", "message": "must be a UUID", "path": "room_id" }] } }
\`\`\`

The reply has the \`request_id\` of the frame, or \`null\` if the frame had no valid one. A rejected frame does not close the connection.
Errors of API Gateway itself have no \`type\`: \`{"message", "connectionId", "requestId"}\`.

On a \`__SUB_PROTOCOL__\` connection, everything else that you receive is an event: \`{"type", "room_id", "data", "sent_at"}\`. On a \`__SUB_PROTOCOL_V2__\` connection, it is one of
the [frames of \`__SUB_PROTOCOL_V2__\`](#frames-of-roomsv2). Ignore types, feeds and fields that you do not know.

All frames are also in [websocket.schema.json](../websocket.schema.json) as JSON Schema.
`.trim();

export const V2_INTRODUCTION = `
## Frames of \`rooms.v2\`

Every event of a room belongs to one of two feeds: \`messages\` has the chat messages, their edits and deletions, \`changes\` everything else. A connection that has subscribed also receives the feed \`user\`.
In each feed of a room, and in the feed \`user\` of a user, events are numbered one by one. \`room_ended\`, and \`participant_removed\` of your own user, come in a \`detached\` frame instead, without a number.
\`typing\` belongs to no feed. It has a frame of its own, as on a \`rooms.v1\` connection: \`{"type": "typing", "room_id", "data", "sent_at"}\`. A \`typing\` event can be lost, so stop showing it after 6 seconds.

### How to notice and fill a gap

Keep for each room and feed the highest number \`n\` up to which nothing is missing: at first the one in the reply to \`join\` (for the feed \`user\`: to \`subscribe\`).

1. Drop a frame whose numbers are all \`n\` or less. It was sent again.
2. Deliver a frame that begins with \`n + 1\`, and move \`n\` to its last number. In a frame without events, the last number is \`seq - 1\`.
3. A frame that begins with a higher number shows a gap. Hold it, and wait for a random time of 0 to 2 seconds: the missing frame may still arrive. If it does not, read the missing events:
   - \`messages\`: \`GET /participant/room/{room_id}/chat\` from the newest message back. Stop at a page whose messages are all at least 30 seconds older than your last message before the gap. Read the [changes of messages](#edits-and-deletions), too.
   - \`changes\`: \`GET /participant/room/{room_id}\`, and the list of participants if you show it.
   - \`user\`: \`GET /participant/room\`.

   A read contains every event that was numbered before it began. Deliver the new events, and continue after the held frames.
4. Send \`ping\` with your \`rooms\` after 120 seconds without a received frame, and immediately when the network or the page comes back. Promise 240 seconds as \`ping_interval_seconds\` of \`join\`, and send a frame at least that often. Received frames do not count. If a number in the reply is higher than yours, its frame may be on its way: wait 3 seconds, then go on as in step 3.
   If a room is missing from the reply, the connection is no longer in it: join again.
5. After a reconnect, compare the numbers in the reply to \`join\` with yours. Equal: you have missed nothing. Higher: read. Lower: the table was restored; read everything you need.

A gap can be false: after a failure on our side, some numbers belong to events that you have received already under other numbers. Drop messages whose \`message_id\` you know. Events that arrive before the reply to \`join\` belong after it.
`.trim();
