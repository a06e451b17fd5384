import { leave as row } from '../../core/contract/realtime.ts';
import { action } from '../../core/realtime/action.ts';
import { leaveRoom } from '../../core/store/connections.ts';

export const handler = action(row, async ({ caller, frame: { room_id }, connection_id, admitted }) => {
  await admitted;
  await leaveRoom({ room_id, connection_id, user_id: caller });
  return { room_id };
});
