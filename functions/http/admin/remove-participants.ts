import { removeParticipants as route } from '../../../core/contract/routes.ts';
import { endpoint } from '../../../core/http/endpoint.ts';
import { queryOrBody } from '../../../core/http/query-or-body.ts';
import { removeParticipants } from '../../../core/store/participants.ts';

export const handler = endpoint(route, ({ caller, now, params, query, body }) =>
  removeParticipants({
    caller,
    now,
    ...params,
    participant_ids: queryOrBody(query.participant_id, body.participant_ids, 'participant_ids'),
  }),
);
