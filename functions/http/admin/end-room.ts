import { endRoom as route } from '../../../core/contract/routes.ts';
import { endpoint } from '../../../core/http/endpoint.ts';
import { endRoom } from '../../../core/store/rooms.ts';

export const handler = endpoint(route, ({ caller, now, params, body }) => endRoom({ caller, now, ...params, ...body }));
