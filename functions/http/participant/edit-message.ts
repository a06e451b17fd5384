import { editMessage as route } from '../../../core/contract/routes.ts';
import { endpoint } from '../../../core/http/endpoint.ts';
import { editMessage } from '../../../core/store/message-changes.ts';

export const handler = endpoint(route, ({ caller, now, params, body }) =>
  editMessage({ caller, now, ...params, ...body }),
);
