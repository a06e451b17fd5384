import { ANSWER_EXAMPLES, SENT_AT } from './openapi-texts.ts';
import type { ActionName, DetachedFrame, EventName, EventsFrame, RoomEventOf } from './realtime.ts';

/*
 * What the pages on the WebSocket API and the event bus say beside what core/contract/realtime.ts says already. Apart from it,
 * because it ships with functions, and no function needs these texts.
 */

const { room, myRoom, profile, removedParticipant, message } = ANSWER_EXAMPLES;
const peer = { participant_id: profile.participant_id, username: profile.username };
const { room_id } = room;

/** Fields by name, before those of the HTTP API; `owner.field` goes before plain `field`. */
export const REALTIME_FIELDS: Readonly<Record<string, string>> = {
  action: 'Which action.',
  request_id: 'Any text of yours, of 1 to 128 characters. The reply carries it.',
  sent_at: 'When the event was made, by our clock.',
  data: 'What the event is about.',
  ping_interval_seconds:
    'A promise to send a frame, such as a ping, at least this often while connected: 1 to 90 seconds. If nothing arrives for 200 ' +
    'seconds, the service closes the connection, and others see the participant leave. Without it, a client may be silent.',
  'message.client_message_id':
    'Your own ID of the message: 1 to 128 letters, digits or `.` `_` `:` `-`. Send the same again when you have got no reply.',
  'message.text': 'What the message says. Text, attachment, or both.',
  'message.attachment': 'A file that you have uploaded to this room.',
  'ping.time': 'The time, by our clock.',
  'ping.rooms':
    'In the frame: at most 50 rooms that this connection has joined. In the reply: by room ID, the last numbers of its feeds. A room ' +
    'that the connection is not in (any more) is missing.',
  'ping.subscribed': 'True asks for the last number of the feed `user`.',
  'ping.user': 'The last number of the feed `user`; missing where the connection has not subscribed.',
  'subscribe.participant_id': 'Your own user ID.',
  'subscribe.seq': 'The last number of the feed `user`. Given exactly if the connection speaks `rooms.v2`.',
  'MyRoom.seq': 'The last numbers of the room’s feeds. Given exactly if the connection speaks `rooms.v2`.',
  'Seq.messages': 'The number of the last message.',
  'Seq.changes': 'The number of the last other event.',
  'presence.count': 'How many participants are online.',
  'presence.joined': 'Who came since the last one, while at most 1,000 are online.',
  'presence.left': 'Who left since the last one, while at most 1,000 are online.',
  feed: 'Which sequence the numbers are from.',
  seq: 'The number of the first event. Each further event has the next one. In a frame without events, all lower numbers have been given.',
  events: 'Events, each with its `type` and its `data`.',
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
};

export const REPLY_EXAMPLES: Readonly<Record<ActionName, unknown>> = {
  join: { ...myRoom, seq: { messages: 40, changes: 12 } },
  leave: { room_id },
  message,
  ping: { time: SENT_AT, rooms: { [room_id]: { messages: 41, changes: 12 } }, user: 3 },
  subscribe: { participant_id: profile.participant_id, seq: 3 },
};

/** `data` of each event. */
export const EVENT_EXAMPLES: { readonly [Name in EventName]: RoomEventOf<Name>['data'] } = {
  message,
  peer_joined: peer,
  peer_left: peer,
  room_created: room,
  participant_added: { ...profile, username: null },
  participant_removed: removedParticipant,
  participant_updated: { participant_id: profile.participant_id, is_admin: true },
  room_updated: { ...room, name: 'Stand-up, team Blue', updated_at: SENT_AT },
  room_started: { ...room, start_time: '2026-03-02T09:05:00.000Z' },
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
  sent_at: SENT_AT,
  events: [{ type: 'participant_removed', data: removedParticipant }],
};

export const BUS_INTRODUCTION = `
# Events of rooms on EventBridge

A back end can react to what happens in rooms without asking again and again: every event below is put on an event bus of
EventBridge, named by the output \`EventBusName\` of the stack \`rooms-<environment>-realtime\` (\`rooms-prod\`). Give the bus a
rule, and the rule a target: a queue, a function, another bus.

- \`source\` is \`rooms\`, \`detail-type\` is the type of the event, \`detail\` is \`{"room_id", "data", "sent_at"}\`.
- An event says what is now, not what to add: taking one in twice is harmless. It may come twice, and events may come in another order
  than things happened, as always with EventBridge; of two about the same room, the later \`data.updated_at\` or \`sent_at\` is right.
- An event has the data of the moment it is sent, not of the change that led to it. Changes that are processed together may be one
  event. An event about something that is no longer so is not sent: a user who was removed and added again at once is only added.
- Chat messages and presence are not on the bus: they go to WebSocket clients only (see [the WebSocket API](websocket.md)).
- There is no \`room_started\` for a room that has started when it is created: \`room_created\` says so (\`data.status\`).
- Announced starts and ends (\`room_started\`, \`room_ended\`) come within a minute; a room that an admin ends is told of at once.
- Later versions may add fields and types of events: ignore those you do not know.

The schemas below are also in [events.schema.json](../events.schema.json), as JSON Schema.

## A rule

Rooms that have ended, into a queue of yours (CloudFormation). The queue's policy must let \`events.amazonaws.com\` send to it.

\`\`\`yaml
RoomEnded:
  Type: AWS::Events::Rule
  Properties:
    EventBusName: rooms-prod
    EventPattern:
      source: [rooms]
      detail-type: [room_ended]
    Targets:
      - Id: queue
        Arn: !GetAtt Queue.Arn
\`\`\`
`.trim();

export const SOCKET_INTRODUCTION = `
# The WebSocket API

Chat, presence, and what happens in rooms, as it happens. The client SDK does all of this for you; this page is for those who
write their own.

## Connecting

The address is the output \`WebSocketUrl\` of the stack \`rooms-<environment>-realtime\`: \`wss://…/v1\`. An access token of IAMS is needed, in
one of two places, and never in the address:

- Outside browsers, in the header \`Authorization: Bearer <access token>\`.
- In browsers, which cannot set headers, among the sub-protocols.

\`\`\`js
const socket = new WebSocket(url, ['__SUB_PROTOCOL_V2__', '__SUB_PROTOCOL__', \`__BEARER__\${token}\`]);
\`\`\`

Without a valid token, the handshake fails with 401. If it offers sub-protocols of this API and the server knows none of them, it
fails with 400. There is no list of origins that may connect: no cookie is involved, and the token is
only with the page that has it.

## Versions of the protocol

The server chooses the newest version that the client offers: \`__SUB_PROTOCOL_V2__\`, then \`__SUB_PROTOCOL__\`. A client that offers none, for example because it
authenticates with the header, speaks \`__SUB_PROTOCOL__\`. It can offer \`__SUB_PROTOCOL_V2__\` beside the header. The reply to \`join\` and \`subscribe\` has \`seq\` exactly if the connection speaks
\`__SUB_PROTOCOL_V2__\`.

| | \`__SUB_PROTOCOL__\` | \`__SUB_PROTOCOL_V2__\` |
|---|---|---|
| events | one frame each | packed: one frame for all events that are ready for a room |
| missed events | not visible: read history after each reconnect | visible as a gap in numbers: read only after a gap |
| an event that cannot be delivered | the connection is closed | the event is skipped; the connection stays |
| a room ends, or the user is removed | the connection is closed | a \`detached\` frame; the connection stays |

With either version, a connection ends after two hours at most, after ten minutes without a frame in either direction (send \`ping\`), with the next event
after its token has expired (frames get \`token_expired\` at once), and when it does not take frames. Then connect again, join again, and read what you have missed from
\`GET /participant/room/{room_id}/chat\`: what was delivered is exactly what is there.

## Frames

A frame is a JSON object, as text: at most __FRAME_BYTES__ bytes (API Gateway itself closes a connection that sends a larger one), and at most
__FRAMES__ of a connection and __USER_FRAMES__ of all connections of a user in __WINDOW__ seconds: more get \`too_many_requests\`, with the seconds to wait in \`error.retry_after\`. Of one user, __CONNECTIONS__ connections may have joined a room at the same time. Each frame you send names an \`action\` and gets exactly one reply:

\`\`\`json
{ "type": "reply", "request_id": "1", "ok": true, "data": {} }
{ "type": "reply", "request_id": "2", "ok": false, "error": { "code": "room_ended", "message": "This room has ended." } }
{ "type": "reply", "request_id": "3", "ok": false, "error": { "code": "invalid_request", "message": "room_id must be a UUID",
  "errors": [{ "code": "invalid_request", "message": "must be a UUID", "path": "room_id" }] } }
\`\`\`

\`request_id\` is yours, or \`null\` where the frame had none that could be read. A frame that is refused costs nobody the connection.
What API Gateway refuses itself has no \`type\`: \`{"message", "connectionId", "requestId"}\`.

With \`__SUB_PROTOCOL__\`, everything else that you receive is an event: \`{"type", "room_id", "data", "sent_at"}\`. With \`__SUB_PROTOCOL_V2__\`, it is one of the [frames of
\`__SUB_PROTOCOL_V2__\`](#frames-of-roomsv2). Ignore types, feeds and fields that you do not know.

All messages are also in [websocket.schema.json](../websocket.schema.json), as JSON Schema.
`.trim();

export const V2_INTRODUCTION = `
## Frames of \`rooms.v2\`

Every event of a room belongs to one of two feeds: \`messages\` has the chat messages, \`changes\` everything else. A connection that has subscribed also receives the feed \`user\`.
In each feed of a room, and in the feed \`user\` of a user, events are numbered one by one. \`room_ended\`, and \`participant_removed\` of your own user, come in a \`detached\` frame instead, without a number.

### How to notice and fill a gap

Keep for each room and feed the highest number \`n\` up to which nothing is missing: at first the one in the reply to \`join\` (for the feed \`user\`: to \`subscribe\`).

1. Drop a frame whose numbers are all \`n\` or less. It was sent again.
2. Deliver a frame that begins with \`n + 1\`, and move \`n\` to its last number. In a frame without events, the last number is \`seq - 1\`.
3. A frame that begins with a higher number shows a gap. Hold it, and wait for a random time of 0 to 2 seconds: the missing frame may still come. If it does not, read what is missing:
   - \`messages\`: \`GET /participant/room/{room_id}/chat\` from the newest message back, until all messages of a page are older by 30 seconds than the newest message that you have without a gap.
   - \`changes\`: \`GET /participant/room/{room_id}\`, and the list of participants if you show it.
   - \`user\`: \`GET /participant/room\`.

   A read has everything that was numbered before it began. Deliver what is new in it, and continue after the held frames.
4. Send \`ping\` with your \`rooms\` when nothing was received for a while. If a number in the reply is higher than yours, its frame may be on its way: wait 3 seconds, then go on as in step 3.
   If a room is missing from the reply, the connection is no longer in it: join again.
5. After a reconnect, compare the numbers in the reply to \`join\` with yours. Equal: you have missed nothing. Higher: read. Lower: the table was restored; read everything you need.

A gap can be false: after a failure on our side, some numbers belong to events that you have received already under other numbers. Drop messages whose \`message_id\` you know. Events that arrive before the reply to \`join\` belong after it.
`.trim();
