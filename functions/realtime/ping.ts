import { ping as row } from '../../core/contract/realtime.ts';
import { action } from '../../core/realtime/action.ts';
import { seqFor } from '../../core/store/sequence.ts';

export const handler = action(row, async ({ caller, connection_id, now, admitted, frame: { rooms, subscribed } }) => {
  await admitted;
  if (rooms === undefined && !subscribed) return { time: now };
  const known = await seqFor({ connection_id, user_id: caller, rooms, subscribed });
  return { time: now, ...known };
});
