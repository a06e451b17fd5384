import { join as row } from '../../core/contract/realtime.ts';
import { action } from '../../core/realtime/action.ts';
import { joinRoom } from '../../core/store/connections.ts';

export const handler = action(row, ({ caller, frame: { room_id }, ...connection }) =>
  joinRoom({ ...connection, room_id, user_id: caller }),
);
