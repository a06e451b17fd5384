import { join as row } from '../../core/contract/realtime.ts';
import { action } from '../../core/realtime/action.ts';
import { usesV2 } from '../../core/rules/protocol.ts';
import { joinRoom } from '../../core/store/connections.ts';
import { roomNumbers } from '../../core/store/sequence.ts';

export const handler = action(row, async ({ caller, frame: { room_id, ping_interval_seconds }, ...connection }) => {
  const room = await joinRoom({ ...connection, room_id, ping_interval_seconds, user_id: caller });
  // Read after the connection is stored, so that the connection receives every event with a higher number.
  return usesV2(connection) ? { ...room, ...(await roomNumbers(room_id)), joined_at: connection.now } : room;
});
