import { deleteMessage as route } from '../../../core/contract/routes.ts';
import { deleteMessageAndFiles } from '../../../core/files/unused.ts';
import { endpoint } from '../../../core/http/endpoint.ts';

export const handler = endpoint(route, ({ caller, now, params }) => deleteMessageAndFiles({ caller, now, ...params }));
