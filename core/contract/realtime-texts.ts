import { ANSWER_EXAMPLES, SENT_AT } from './openapi-texts.ts';
import type { ActionName, EventName, RoomEventOf } from './realtime.ts';

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
  'subscribe.participant_id': 'Your own user ID.',
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
  ping: { action: 'ping', request_id: '3' },
  subscribe: { action: 'subscribe', request_id: '5' },
};

export const REPLY_EXAMPLES: Readonly<Record<ActionName, unknown>> = {
  join: myRoom,
  leave: { room_id },
  message,
  ping: { time: SENT_AT },
  subscribe: { participant_id: profile.participant_id },
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

- Elsewhere than in browsers, in the header \`Authorization: Bearer <access token>\`.
- In browsers, which let nobody set headers, among the sub-protocols. The server chooses \`__SUB_PROTOCOL__\`.

\`\`\`js
const socket = new WebSocket(url, ['__SUB_PROTOCOL__', \`__BEARER__\${token}\`]);
\`\`\`

Without a valid token the handshake fails with 401. Where sub-protocols of this API are offered and \`__SUB_PROTOCOL__\` is not among them, it
fails with 400. There is no list of origins that may connect: no cookie is involved, and the token is
only with the page that has it.

A connection ends after two hours at most, after ten minutes without a frame in either direction (send \`ping\`), with the next event
after its token has expired (frames get \`token_expired\` at once), when its user is removed from a room that it has joined, when such a room
ends, and when a frame could not be delivered. Then connect again, join again, and read what you have missed from \`GET /participant/room/{room_id}/chat\`: what was delivered is exactly what is there.

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

Everything else that you receive is an event: \`{"type", "room_id", "data", "sent_at"}\`. Ignore types and fields that you do not know.

All messages are also in [websocket.schema.json](../websocket.schema.json), as JSON Schema.
`.trim();
