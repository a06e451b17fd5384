import { subscribe as row } from '../../core/contract/realtime.ts';
import { action } from '../../core/realtime/action.ts';
import { usesV2 } from '../../core/rules/protocol.ts';
import { userSeq } from '../../core/store/sequence.ts';
import { subscribeConnection } from '../../core/store/subscriptions.ts';

export const handler = action(row, async ({ caller, connection_id, token_expires_at, protocol, now, admitted }) => {
  await admitted;
  await subscribeConnection({ user_id: caller, connection_id, token_expires_at, protocol, now });
  return { participant_id: caller, ...(usesV2({ protocol }) && { seq: await userSeq(caller) }) };
});
