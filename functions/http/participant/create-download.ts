import { createDownload as route } from '../../../core/contract/routes.ts';
import { startDownload } from '../../../core/files/transfer.ts';
import { endpoint } from '../../../core/http/endpoint.ts';

export const handler = endpoint(route, ({ caller, now, params, query }) =>
  startDownload({ caller, now, ...params, ...query }),
);
