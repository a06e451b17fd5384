import { createUpload as route } from '../../../core/contract/routes.ts';
import { startUpload } from '../../../core/files/transfer.ts';
import { endpoint } from '../../../core/http/endpoint.ts';

export const handler = endpoint(route, ({ caller, now, params, query }) =>
  startUpload({ caller, now, ...params, ...query }),
);
