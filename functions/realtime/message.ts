import { message as row } from '../../core/contract/realtime.ts';
import { attachmentOf } from '../../core/files/attachment.ts';
import { action } from '../../core/realtime/action.ts';
import { sendMessage } from '../../core/store/messages.ts';

export const handler = action(row, ({ caller, now, admitted, frame }) => {
  const { room_id, client_message_id, text, type, data, reply_to } = frame;
  const files = frame.attachments ?? (frame.attachment ? [frame.attachment] : []);
  return sendMessage({
    caller,
    now,
    admitted,
    room_id,
    client_message_id,
    text,
    type,
    data,
    reply_to,
    file_ids: files.map(({ file_id }) => file_id),
    findFile: (file_id) => attachmentOf(room_id, file_id, { caller, now }),
  });
});
