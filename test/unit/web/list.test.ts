import { describe, expect, test } from 'vitest';
import type { MyRoom } from '../../../client/src/index.ts';
import { filterRooms } from '../../../web/src/list/filter.ts';
import { unreadRooms } from '../../../web/src/session/unread.ts';
import { ownDefaults, roomDefaults } from '../../support/defaults.ts';

const room = (number: number, changes: Partial<MyRoom> = {}): MyRoom => ({
  ...roomDefaults,
  ...ownDefaults,
  room_id: `00000000-0000-7000-8000-${String(number).padStart(12, '0')}`,
  name: `Room ${number}`,
  start_time: '2026-03-01T09:00:00.000Z',
  status: 'started',
  created_at: '2026-03-01T09:00:00.000Z',
  updated_at: '2026-03-01T09:00:00.000Z',
  created_by: 'alice',
  ...changes,
});

describe('the search', () => {
  const rooms = [
    room(1, { name: 'Łódź: Café Zürich', description: 'Pump 7' }),
    room(2, { name: 'Night shift', status: 'ended' }),
    room(3, { name: 'Night round', status: 'booked' }),
  ];
  const found = (text: string, status: 'any' | MyRoom['status'] = 'any') =>
    filterRooms(rooms, { text, status }).map(({ room_id }) => Number(room_id.slice(-3)));

  test('finds words in the name or the description, ignoring case and accents', () => {
    expect(found('cafe ZURICH')).toEqual([1]);
    expect(found('pump cafe')).toEqual([1]);
    expect(found('night')).toEqual([2, 3]);
    expect(found('  ')).toEqual([1, 2, 3]);
    expect(found('nothing')).toEqual([]);
    expect(found(room(2).room_id)).toEqual([2]);
    expect(found('000000000002')).toEqual([]);
  });

  test('filters by status, too', () => {
    expect(found('night', 'ended')).toEqual([2]);
    expect(found('', 'booked')).toEqual([3]);
  });
});

describe('unread marks', () => {
  const [r1, r2, r3] = [room(1, { has_unread: true }), room(2, { has_unread: true, archive_room: true }), room(3)];
  const unread = (open: string | undefined, readAt: [string, number][] = []) => [
    ...unreadRooms([r1, r2, r3], open, new Map(readAt), 100_000),
  ];

  test('a room is unread if the service reports it, unless the room is archived or open', () => {
    expect(unread(undefined)).toEqual([r1.room_id]);
    expect(unread(r1.room_id)).toEqual([]);
  });

  test('a room that was read here stays read while the service may still report an older state', () => {
    expect(unread(undefined, [[r1.room_id, 91_000]])).toEqual([]);
    expect(unread(undefined, [[r1.room_id, 89_000]])).toEqual([r1.room_id]);
  });
});
