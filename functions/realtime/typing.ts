import { typing as row } from '../../core/contract/realtime.ts';
import { action } from '../../core/realtime/action.ts';
import { sendTyping } from '../../core/realtime/typing.ts';

export const handler = action(row, async ({ caller, connection_id, now, frame: { room_id, typing } }) => {
  await sendTyping({ caller, now, connection_id, room_id, typing });
  return { room_id };
});
