import { revokeAdmin as route } from '../../../core/contract/routes.ts';
import { endpoint } from '../../../core/http/endpoint.ts';
import { revokeAdmin } from '../../../core/store/participants.ts';

export const handler = endpoint(route, ({ caller, now, params }) => revokeAdmin({ caller, now, ...params }));
