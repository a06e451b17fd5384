import { marshall } from '@aws-sdk/util-dynamodb';
import type { DynamoDBStreamEvent, SQSEvent } from 'aws-lambda';
import type { Action, RoomEvent } from '../contract/realtime.ts';
import { REHEARSING_USER } from '../platform/prime.ts';
import { toMessage } from '../store/items.ts';
import { messageKey } from '../store/keys.ts';
import type { FanOutRequest } from './deliver.ts';
import type { SocketEvent } from './socket-event.ts';

const ROOM_ID = '0199d3f4-5c1e-7a80-9a6b-2f1d6a4c8e01';
/** A value for every required field of a frame. */
const FIELDS: Readonly<Record<string, string | boolean>> = {
  request_id: 'rehearsal',
  room_id: ROOM_ID,
  client_message_id: 'rehearsal',
  text: 'x',
  typing: true,
};

/** The id of a connection that does not exist. */
export const CONNECTION: Omit<SocketEvent, 'body'> = {
  isBase64Encoded: false,
  requestContext: {
    apiId: '',
    authorizer: { user_id: REHEARSING_USER, token_expires_at: '4102444800' },
    connectedAt: 0,
    connectionId: 'rehearsal',
    domainName: '',
    eventType: 'MESSAGE',
    extendedRequestId: '',
    messageDirection: 'IN',
    messageId: '',
    requestId: 'rehearsal',
    requestTime: '',
    requestTimeEpoch: 0,
    routeKey: '',
    stage: '',
  },
};

/** Returns the event of a frame for the rehearsal of an action. */
export function rehearsalEvent({ action, frame }: Action): SocketEvent {
  const fields = 'entries' in frame ? Object.keys(Object(frame.entries)) : [];
  const values = fields.flatMap((field) => (field in FIELDS ? [[field, FIELDS[field]]] : []));
  return { ...CONNECTION, body: JSON.stringify({ ...Object.fromEntries(values), action }) };
}

const MESSAGE = {
  room_id: ROOM_ID,
  message_id: '01J8ZQ4W3N7K2M5P9R1T6V8X0Y',
  sender_id: REHEARSING_USER,
  client_message_id: 'rehearsal',
  text: 'x',
  sent_at: '2020-01-01T00:00:00.000Z',
};

/** Returns a batch of stream records with one message. */
export function streamRehearsal(): DynamoDBStreamEvent {
  const key = messageKey(MESSAGE.room_id, MESSAGE.message_id);
  // The types of stream and SDK differ only for binary values, which our items do not have.
  const image = (item: object) =>
    marshall(item) as NonNullable<DynamoDBStreamEvent['Records'][0]['dynamodb']>['NewImage'];
  // Recent, because older messages are read again.
  const message = { ...key, ...MESSAGE, sent_at: new Date().toISOString() };
  const dynamodb = { Keys: image({ ...key }), NewImage: image(message), SequenceNumber: 'rehearsal' };
  return { Records: [{ eventID: 'rehearsal', eventName: 'INSERT', dynamodb }] };
}

/** Returns the lane message for the rehearsal of a room's lane. */
export function laneRehearsal(): Pick<SQSEvent, 'Records'> {
  const body = JSON.stringify({ room_id: MESSAGE.room_id, feed: 'messages' });
  // Fields that the function does not read are omitted.
  return { Records: [{ messageId: 'rehearsal', body } as SQSEvent['Records'][0]] };
}

/** The number of connections in a batch, for each of which the fan-out opens a connection to the gateway. */
const LISTENERS = 8;

/** Returns a batch of connections to which a message is sent. */
export function fanOutRehearsal(): FanOutRequest {
  const { room_id, sent_at } = MESSAGE;
  const event: RoomEvent = {
    type: 'message',
    room_id,
    data: toMessage({ ...messageKey(room_id, MESSAGE.message_id), ...MESSAGE }),
    sent_at,
  };
  const recipients = Array.from({ length: LISTENERS }, (_, n) => ({
    connection_id: `rehearsal-${n}`,
    participant_id: REHEARSING_USER,
    token_expires_at: 4_102_444_800,
  }));
  return { room_id, recipients, task: { kind: 'send', events: [event] }, time_left_ms: 20_000 };
}
