import { createRoom as route } from '../../../core/contract/routes.ts';
import { endpoint } from '../../../core/http/endpoint.ts';
import { createRoom } from '../../../core/store/rooms.ts';

export const handler = endpoint(route, ({ caller, now, headers, body }) =>
  createRoom({ caller, now, room: body, idempotency_key: headers['idempotency-key'] }),
);
