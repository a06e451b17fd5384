import { getRoom as route } from '../../../core/contract/routes.ts';
import { endpoint } from '../../../core/http/endpoint.ts';
import { getRoom } from '../../../core/store/rooms.ts';

export const handler = endpoint(route, ({ caller, now, params }) => getRoom({ caller, now, ...params }));
