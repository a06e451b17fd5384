import { REHEARSING_USER } from '../aws/prime.ts';
import type { Action } from '../contract/realtime.ts';
import type { SocketEvent } from './action.ts';

/** A value for every field that a frame must have. */
const FIELDS: Readonly<Record<string, string>> = {
  request_id: 'rehearsal',
  room_id: '0199d3f4-5c1e-7a80-9a6b-2f1d6a4c8e01',
  client_message_id: 'rehearsal',
  text: 'x',
};

/** The event of one connection that nobody has. */
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

/** Returns the event of a frame that rehearses an action. */
export function rehearsalEvent({ action, frame }: Action): SocketEvent {
  const fields = 'entries' in frame ? Object.keys(Object(frame.entries)) : [];
  const values = fields.flatMap((field) => (field in FIELDS ? [[field, FIELDS[field]]] : []));
  return { ...CONNECTION, body: JSON.stringify({ ...Object.fromEntries(values), action }) };
}
