import { listMessageChanges as route } from '../../../core/contract/routes.ts';
import { endpoint } from '../../../core/http/endpoint.ts';
import { listMessageChanges } from '../../../core/store/message-changes.ts';

export const handler = endpoint(route, ({ caller, params, query }) =>
  listMessageChanges({ caller, ...params, ...query }),
);
