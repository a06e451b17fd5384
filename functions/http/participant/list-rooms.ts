import { listRooms as route } from '../../../core/contract/routes.ts';
import { endpoint } from '../../../core/http/endpoint.ts';
import { listRooms } from '../../../core/store/room-list.ts';

export const handler = endpoint(route, ({ caller, now, query }) => listRooms({ caller, now, ...query }));
