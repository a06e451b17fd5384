import { setRole as route } from '../../../core/contract/routes.ts';
import { endpoint } from '../../../core/http/endpoint.ts';
import { setRole } from '../../../core/store/participants.ts';

export const handler = endpoint(route, ({ caller, now, params, body }) => setRole({ caller, now, ...params, ...body }));
