import { ulid } from 'ulid';
import { getOwnFile } from '../../core/store/files.ts';
import { appendMessage } from '../../core/store/messages.ts';
import { numberEvents } from '../../core/store/sequence.ts';
import { copiesOf } from './fill.ts';
import { data, type Operation, type Request } from './invoke.ts';
import { newRoom, newUser, type World } from './world.ts';

export interface Sized extends World {
  readonly file_id: string;
  /** IDs of two messages of the member: one to edit, and one with a file to delete. */
  readonly message_id: string;
  readonly deleted_id: string;
}

/** A room with `size` participants, `size` messages and a file. Its admin is in `size` rooms. */
export async function roomOf(size: number): Promise<Sized> {
  const members = Array.from({ length: size - 2 }, (_, n) => newUser(`p${n}`));
  const world = await newRoom({ members: members.slice(0, 49) });
  const { room_id, admin } = world;
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
    const message = { room_id, sender_id: admin, client_message_id: `m${n}`, text: 'x', now };
    last_message_id = (await appendMessage(message)).message_id;
  }
  // Numbers the messages, as their delivery would.
  await numberEvents({ feed: 'messages', room_id }, size, 'filled', { last_message_id, last_sender_id: admin });
  const { file_id } = await data('createUpload', {
    as: admin,
    params: { room_id },
    query: { size: 1, content_type: 'text/plain' },
  });
  return { ...world, file_id, ...(await messagesOf(world)) };
}

/** Stores two messages of the member: one with text, and one with a file that is in the bucket. */
async function messagesOf({ room_id, member }: World): Promise<Pick<Sized, 'message_id' | 'deleted_id'>> {
  const said = { room_id, sender_id: member, text: 'x', now: new Date().toISOString() };
  const { message_id } = await appendMessage({ ...said, client_message_id: 'edited' });
  const file = await data('createUpload', {
    as: member,
    params: { room_id },
    query: { size: 1, content_type: 'text/plain' },
  });
  await fetch(file.upload_url, { method: 'PUT', body: 'x', headers: file.headers });
  const own = await getOwnFile(room_id, file.file_id, { caller: member, now: said.now });
  const deleted = await appendMessage({ ...said, client_message_id: 'deleted', files: [own] });
  return { message_id, deleted_id: deleted.message_id };
}

/** Valid requests of each operation, for rooms of any size, in an order in which all succeed. */
export function requests({
  room_id,
  admin,
  member,
  file_id,
  message_id,
  deleted_id,
}: Sized): readonly (readonly [Operation, Request])[] {
  const params = { room_id };
  const more = Array.from({ length: 49 }, () => newUser());
  const page = { limit: 200 };
  return [
    ['createRoom', { as: admin, body: { name: 'x' } }],
    [
      'createRoom',
      { as: admin, body: { name: 'x', participant_ids: more }, headers: { 'Idempotency-Key': newUser() } },
    ],
    ['changeRoom', { as: admin, params, body: { name: 'y' } }],
    ['changeRoom', { as: admin, params, body: { time_left_in_seconds: 1_000 } }],
    ['addParticipants', { as: admin, params, body: { participant_ids: more } }],
    ['addParticipants', { as: admin, params, body: { participant_ids: [newUser()] } }],
    ['changeRoom', { as: admin, params, body: { posting: 'admins', metadata: { shift: 'night' } } }],
    ['changeRoom', { as: admin, params, body: { posting: 'everyone', metadata: null } }],
    ['addParticipants', { as: admin, params, body: { participant_ids: [newUser()], role: 'observer' } }],
    ['setRole', { as: admin, params: { room_id, participant_id: member }, body: { role: 'observer' } }],
    ['setRole', { as: admin, params: { room_id, participant_id: member }, body: { role: 'member' } }],
    ['grantAdmin', { as: admin, params: { room_id, participant_id: member } }],
    ['revokeAdmin', { as: admin, params: { room_id, participant_id: member } }],
    ['removeParticipants', { as: admin, params, body: { participant_ids: more } }],
    ['removeParticipants', { as: admin, params, query: { participant_id: newUser() } }],
    ['listRooms', { as: admin, query: page }],
    ['getRoom', { as: member, params }],
    ['listParticipants', { as: member, params, query: page }],
    ['updateProfile', { as: member, params, body: { username: 'x', archive_room: true } }],
    ['markRead', { as: member, params, body: { message_id: ulid() } }],
    ['listMessages', { as: member, params, query: page }],
    ['editMessage', { as: member, params: { room_id, message_id }, body: { text: 'y' } }],
    ['editMessage', { as: member, params: { room_id, message_id }, body: { text: 'z' } }],
    ['deleteMessage', { as: member, params: { room_id, message_id: deleted_id } }],
    ['deleteMessage', { as: admin, params: { room_id, message_id } }],
    ['listMessageChanges', { as: member, params, query: page }],
    ['createUpload', { as: member, params, query: { size: 1, content_type: 'text/plain' } }],
    ['createDownload', { as: member, params, query: { file_id } }],
    ['grantAdmin', { as: admin, params: { room_id, participant_id: member } }],
    ['revokeAdmin', { as: admin, params: { room_id, participant_id: admin } }],
    ['leaveRoom', { as: admin, params }],
    ['endRoom', { as: member, params }],
  ];
}
