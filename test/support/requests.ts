import { ulid } from 'ulid';
import { appendMessage } from '../../core/store/messages.ts';
import { numberEvents } from '../../core/store/sequence.ts';
import { copiesOf } from './fill.ts';
import { data, type Operation, type Request } from './invoke.ts';
import { newRoom, newUser, type World } from './world.ts';

export interface Sized extends World {
  readonly file_id: string;
}

/** A room with this many participants, whose admin is in as many rooms, with as many messages, and a file. */
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
  // As when they are delivered.
  await numberEvents({ feed: 'messages', room_id }, size, 'filled', { last_message_id, last_sender_id: admin });
  const { file_id } = await data('createUpload', {
    as: admin,
    params: { room_id },
    query: { size: 1, content_type: 'text/plain' },
  });
  return { ...world, file_id };
}

/** Good requests of each operation, as good for a large room as for a small one, in an order in which all succeed. */
export function requests({ room_id, admin, member, file_id }: Sized): readonly (readonly [Operation, Request])[] {
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
    ['createUpload', { as: member, params, query: { size: 1, content_type: 'text/plain' } }],
    ['createDownload', { as: member, params, query: { file_id } }],
    ['grantAdmin', { as: admin, params: { room_id, participant_id: member } }],
    ['revokeAdmin', { as: admin, params: { room_id, participant_id: admin } }],
    ['leaveRoom', { as: admin, params }],
    ['endRoom', { as: member, params }],
  ];
}
