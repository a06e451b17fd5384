import { grantAdmin as route } from '../../../core/contract/routes.ts';
import { endpoint } from '../../../core/http/endpoint.ts';
import { grantAdmin } from '../../../core/store/participants.ts';

export const handler = endpoint(route, ({ caller, now, params }) => grantAdmin({ caller, now, ...params }));
