import { listParticipants as route } from '../../../core/contract/routes.ts';
import { endpoint } from '../../../core/http/endpoint.ts';
import { listParticipants } from '../../../core/store/participants.ts';

export const handler = endpoint(route, ({ caller, params, query }) =>
  listParticipants({ caller, ...params, ...query }),
);
