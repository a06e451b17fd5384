import { subscribe as row } from '../../core/contract/realtime.ts';
import { action } from '../../core/realtime/action.ts';
import { subscribeConnection } from '../../core/store/subscriptions.ts';

export const handler = action(row, async ({ caller, connection_id, token_expires_at, now, admitted }) => {
  await admitted;
  await subscribeConnection({ user_id: caller, connection_id, token_expires_at, now });
  return { participant_id: caller };
});
