import { listMessages as route } from '../../../core/contract/routes.ts';
import { endpoint } from '../../../core/http/endpoint.ts';
import { listMessages } from '../../../core/store/messages.ts';

export const handler = endpoint(route, ({ caller, params, query }) => listMessages({ caller, ...params, ...query }));
