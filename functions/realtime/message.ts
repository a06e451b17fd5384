import { message as row } from '../../core/contract/realtime.ts';
import { attachmentOf } from '../../core/files/attachment.ts';
import { action } from '../../core/realtime/action.ts';
import { sendMessage } from '../../core/store/messages.ts';

export const handler = action(row, ({ caller, now, admitted, frame }) => {
  const { room_id, client_message_id, text, attachment } = frame;
  return sendMessage({
    caller,
    now,
    admitted,
    room_id,
    client_message_id,
    text,
    ...(attachment && { attachment: () => attachmentOf(room_id, attachment.file_id, { caller, now }) }),
  });
});
