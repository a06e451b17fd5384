import { leaveRoom as route } from '../../../core/contract/routes.ts';
import { endpoint } from '../../../core/http/endpoint.ts';
import { leaveRoom } from '../../../core/store/participants.ts';

export const handler = endpoint(route, ({ caller, now, params }) => leaveRoom({ caller, now, ...params }));
