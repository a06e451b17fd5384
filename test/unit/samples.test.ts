import { expect, test } from 'vitest';
import { allRoutes } from '../../core/contract/index.ts';
import { actions } from '../../core/contract/realtime.ts';
import { capacities, type SampleRoom, sampleCalls, sampleFrames, sampleRequest } from '../fixtures/samples.ts';

const room: SampleRoom = {
  room_id: 'room',
  admin: 'admin',
  member: 'member',
  leaver: 'leaver',
  newcomers: Array.from({ length: 70 }, (_, n) => `newcomer-${n}`),
  file_id: 'file',
  message_id: 'message',
  deleted_id: 'deleted',
};

test('every endpoint has a sample request with capacity units', () => {
  const counted = sampleCalls(room).filter(({ units }) => units);
  const missing = allRoutes.filter((route) => !counted.some(({ operation }) => operation === route.operation));
  expect(
    missing.map(({ operation, method, path }) => `Add ${operation} (${method} ${path}) to test/fixtures/samples.ts.`),
  ).toEqual([]);
});

test('every WebSocket action has a sample frame', () => {
  const missing = Object.keys(actions).filter((action) => !sampleFrames(room).some((frame) => frame.action === action));
  expect(missing.map((action) => `Add ${action} to test/fixtures/samples.ts.`)).toEqual([]);
  expect(sampleFrames(room).filter(({ action }) => !Object.hasOwn(actions, action))).toEqual([]);
});

test('tests vary the first sample of an operation', () => {
  expect(sampleRequest('addParticipants', room)).toEqual({
    as: 'admin',
    params: { room_id: 'room' },
    body: { participant_ids: room.newcomers.slice(0, 10) },
  });
  expect(sampleRequest('leaveRoom', room)).toEqual({ as: 'leaver', params: { room_id: 'room' } });
});

test('every sample with capacity units has a unique label', () => {
  const labels = [...sampleCalls(room), ...sampleFrames(room)].map(({ label }) => label);
  expect(new Set(labels).size).toBe(labels.length);
  expect(labels).toEqual(expect.arrayContaining(Object.keys(capacities())));
});
