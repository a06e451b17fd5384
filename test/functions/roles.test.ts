import { beforeAll, describe, expect, test } from 'vitest';
import { allRoutes } from '../../core/contract/index.ts';
import { sampleRequest } from '../fixtures/samples.ts';
import { data, invoke, type Operation, type Request, refusal } from '../support/invoke.ts';
import { type Sized, sampleRoomOf } from '../support/sample-room.ts';
import { newRoom, snapshot, type World } from '../support/world.ts';

type Sample = Omit<Request, 'as'>;

let world: Sized;
beforeAll(async () => {
  world = await sampleRoomOf(3);
});

const aboutRooms = allRoutes.filter(({ path }) => path.includes('{room_id}'));
const operations = aboutRooms.map(({ operation }) => operation as Operation);
const adminOperations = aboutRooms.filter(({ set }) => set === 'admin').map(({ operation }) => operation as Operation);
/** Returns a valid request. Only the caller varies. */
const sampleOf = (operation: Operation): Sample => {
  const { as: _, ...sample } = sampleRequest(operation, world);
  return sample;
};
const elsewhere = (sample: Sample, room_id: string): Sample => ({ ...sample, params: { ...sample.params, room_id } });

describe('permissions', () => {
  test.each(operations)('%s: reveals to an outsider only that they are not a participant', async (operation) => {
    const before = await snapshot();
    const reply = await invoke(operation, { as: world.outsider, ...sampleOf(operation) });
    expect(reply).toMatchObject({ ok: false, status: 403, code: 'not_a_participant' });
    expect(reply).toHaveProperty('errors', [{ code: 'not_a_participant', message: expect.any(String) }]);
    expect(await snapshot()).toEqual(before);
  });

  test.each(operations)('%s: returns not found to every caller if the room does not exist', async (operation) => {
    const before = await snapshot();
    const sample = elsewhere(sampleOf(operation), '0199d3f4-5c1e-7a80-9a6b-2f1d6a4c8e01');
    expect(await refusal(operation, { as: world.admin, ...sample })).toBe('room_not_found');
    expect(await snapshot()).toEqual(before);
  });

  test.each(adminOperations)('%s: rejects a participant without the admin right', async (operation) => {
    const before = await snapshot();
    expect(await refusal(operation, { as: world.member, ...sampleOf(operation) })).toBe('not_an_admin');
    expect(await snapshot()).toEqual(before);
  });

  test.each(adminOperations)('%s: rejects a participant whose admin right was revoked', async (operation) => {
    const { room_id, admin, member } = await newRoom();
    const params = { room_id, participant_id: member };
    await data('grantAdmin', { as: admin, params });
    await data('revokeAdmin', { as: admin, params });
    const sample = elsewhere(sampleOf(operation), room_id);
    expect(await refusal(operation, { as: member, ...sample })).toBe('not_an_admin');
  });

  test.each(operations)('%s: treats a removed participant as an outsider', async (operation) => {
    const { room_id, admin, member } = await newRoom();
    await data('grantAdmin', { as: admin, params: { room_id, participant_id: member } });
    await data('removeParticipants', { as: admin, params: { room_id }, body: { participant_ids: [member] } });
    const sample = elsewhere(sampleOf(operation), room_id);
    expect(await refusal(operation, { as: member, ...sample })).toBe('not_a_participant');
  });

  test.each(operations)('%s: treats an admin of another room as an outsider', async (operation) => {
    const other = await newRoom();
    expect(await refusal(operation, { as: other.admin, ...sampleOf(operation) })).toBe('not_a_participant');
  });

  test('a room ID in upper case means the same room', async () => {
    const { room_id, member } = world;
    const room = await data('getRoom', { as: member, params: { room_id: room_id.toUpperCase() } });
    expect(room.room_id).toBe(room_id);
  });
});

describe('a room that has ended', () => {
  let ended: World;
  beforeAll(async () => {
    ended = await newRoom();
    const { room_id, admin } = ended;
    await data('createUpload', { as: admin, params: { room_id }, query: { size: 1, content_type: 'text/plain' } });
    await data('endRoom', { as: admin, params: { room_id } });
  });

  /** An admin can delete messages after the end of the room: see message-changes.test.ts. */
  const changes = aboutRooms
    .filter(({ errors, operation }) => errors.includes('room_ended') && operation !== 'deleteMessage')
    .map(({ operation }) => operation);

  test.each(changes)('%s is rejected as a change', async (operation) => {
    const before = await snapshot();
    const sample = elsewhere(sampleOf(operation as Operation), ended.room_id);
    expect(await refusal(operation as Operation, { as: ended.admin, ...sample })).toBe('room_ended');
    expect(await snapshot()).toEqual(before);
  });

  test('the tests above cover every admin route, createUpload and editMessage', () => {
    expect([...changes].sort()).toEqual([...adminOperations, 'createUpload', 'editMessage'].sort());
  });

  test('can still be read, and its participants may change their own profile', async () => {
    const { room_id, member } = ended;
    const request = { as: member, params: { room_id } };
    expect((await data('getRoom', request)).status).toBe('ended');
    expect(await data('listParticipants', request)).toHaveLength(2);
    expect(await data('listMessages', request)).toEqual([]);
    expect(await data('updateProfile', { ...request, body: { archive_room: true } })).toMatchObject({
      archive_room: true,
    });
    const read_to = '01KJPWK0F03YV98J9N016TWRVK';
    expect(await data('markRead', { ...request, body: { message_id: read_to } })).toMatchObject({ read_to });
    expect(await data('listRooms', { as: member })).toMatchObject([{ room_id, status: 'ended', archive_room: true }]);
  });

  test('still returns its files', async () => {
    const { room_id, admin, member } = await newRoom();
    const params = { room_id };
    const { file_id } = await data('createUpload', { as: admin, params, query: { size: 1, content_type: 'a/b' } });
    await data('endRoom', { as: admin, params });
    expect(await data('createDownload', { as: member, params, query: { file_id } })).toMatchObject({ size: 1 });
  });
});
