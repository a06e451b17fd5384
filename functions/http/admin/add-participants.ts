import { addParticipants as route } from '../../../core/contract/routes.ts';
import { endpoint } from '../../../core/http/endpoint.ts';
import { addParticipants } from '../../../core/store/participants.ts';

export const handler = endpoint(route, ({ caller, now, params, body }) =>
  addParticipants({ caller, now, ...params, ...body }),
);
