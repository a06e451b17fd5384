import { randomUUID } from 'node:crypto';
import { getOwnFile } from '../../core/store/files.ts';
import { appendMessage } from '../../core/store/messages.ts';
import { numberEvents } from '../../core/store/sequence.ts';
import type { SampleRoom } from '../fixtures/samples.ts';
import { copiesOf } from './fill.ts';
import { data } from './invoke.ts';
import { newRoom, newUser, type World } from './world.ts';

export interface Sized extends SampleRoom {
  /** A user who is in no room. */
  readonly outsider: string;
}

/** A room with `size` participants, at least 3, `size` messages of the member and a file. Its admin is in `size` rooms. */
export async function sampleRoomOf(size: number): Promise<Sized> {
  const leaver = newUser('leaver');
  const members = [leaver, ...Array.from({ length: size - 3 }, (_, n) => newUser(`p${n}`))];
  const world = await newRoom({ members: members.slice(0, 49) });
  const { room_id, admin, member } = world;
  for (let n = 49; n < members.length; n += 50)
    await data('addParticipants', {
      as: admin,
      params: { room_id },
      body: { participant_ids: members.slice(n, n + 50) },
    });
  await copiesOf(await newRoom({ members: [admin] }), size - 2);
  const now = new Date().toISOString();
  let last_message_id = '';
  for (let n = 0; n < size; n++) {
    const message = { room_id, sender_id: member, client_message_id: `m${n}`, text: 'x', now };
    last_message_id = (await appendMessage(message)).message_id;
  }
  // Numbers the messages, as their delivery would.
  await numberEvents({ feed: 'messages', room_id }, size, 'filled', { last_message_id, last_sender_id: member });
  const { file_id } = await data('createUpload', {
    as: admin,
    params: { room_id },
    query: { size: 1, content_type: 'text/plain' },
  });
  const newcomers = Array.from({ length: 70 }, () => randomUUID());
  return { ...world, leaver, newcomers, file_id, ...(await messagesOf(world)) };
}

/** Stores two messages of the member: one with text, and one with a file that is in the bucket. */
async function messagesOf({ room_id, member }: World): Promise<Pick<SampleRoom, 'message_id' | 'deleted_id'>> {
  const content = { room_id, sender_id: member, text: 'x', now: new Date().toISOString() };
  const { message_id } = await appendMessage({ ...content, client_message_id: 'edited' });
  const file = await data('createUpload', {
    as: member,
    params: { room_id },
    query: { size: 1, content_type: 'text/plain' },
  });
  await fetch(file.upload_url, { method: 'PUT', body: 'x', headers: file.headers });
  const own = await getOwnFile(room_id, file.file_id, { caller: member, now: content.now });
  const deleted = await appendMessage({ ...content, client_message_id: 'deleted', files: [own] });
  return { message_id, deleted_id: deleted.message_id };
}
