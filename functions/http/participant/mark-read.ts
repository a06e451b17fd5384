import { markRead as route } from '../../../core/contract/routes.ts';
import { endpoint } from '../../../core/http/endpoint.ts';
import { markRead } from '../../../core/store/reading.ts';

export const handler = endpoint(route, ({ caller, now, params, body }) =>
  markRead({ caller, now, ...params, ...body }),
);
