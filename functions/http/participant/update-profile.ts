import { updateProfile as route } from '../../../core/contract/routes.ts';
import { endpoint } from '../../../core/http/endpoint.ts';
import { updateProfile } from '../../../core/store/participants.ts';

export const handler = endpoint(route, ({ caller, now, params, body }) =>
  updateProfile({ caller, now, ...params, ...body }),
);
