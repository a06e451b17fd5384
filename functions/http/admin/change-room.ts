import { changeRoom as route } from '../../../core/contract/routes.ts';
import { endpoint } from '../../../core/http/endpoint.ts';
import { endRoom, updateRoom } from '../../../core/store/rooms.ts';

export const handler = endpoint(route, ({ caller, now, params, body }) =>
  body.kind === 'update'
    ? updateRoom({ caller, now, ...params, changes: body })
    : endRoom({ caller, now, ...params, ...body }),
);
