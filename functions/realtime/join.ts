import { join as row } from '../../core/contract/realtime.ts';
import { action } from '../../core/realtime/action.ts';
import { joinRoom } from '../../core/store/connections.ts';

export const handler = action(row, ({ caller, frame: { room_id, ping_interval_seconds }, ...connection }) =>
  joinRoom({ ...connection, room_id, ping_interval_seconds, user_id: caller }),
);
