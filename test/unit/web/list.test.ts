import { describe, expect, test } from 'vitest';
import type { MyRoom } from '../../../client/src/index.ts';
import { filterRooms } from '../../../web/src/list/filter.ts';
import { isUnread, nextToCheck } from '../../../web/src/session/unread.ts';

const room = (number: number, changes: Partial<MyRoom> = {}): MyRoom => ({
  room_id: `00000000-0000-7000-8000-${String(number).padStart(12, '0')}`,
  name: `Room ${number}`,
  description: null,
  start_time: '2026-03-01T09:00:00.000Z',
  end_time: null,
  end_reason: null,
  posting: 'everyone',
  metadata: null,
  end_warnings_seconds: [300, 60],
  announcements: [],
  status: 'started',
  created_at: '2026-03-01T09:00:00.000Z',
  updated_at: '2026-03-01T09:00:00.000Z',
  created_by: 'alice',
  is_admin: false,
  role: 'member',
  read_to: null,
  last_message_at: null,
  has_unread: false,
  username: null,
  archive_room: false,
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

  test('finds every word in the name or the description, whatever its case and accents', () => {
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
  const since = '2026-03-01T09:00:00.000Z';
  const message = { message_id: 'B', sender_id: 'bob', sent_at: '2026-03-01T10:00:00.000Z' };

  test('a room is unread where others have written since the user was there', () => {
    expect(isUnread(message, 'r', { since, readTo: {} }, 'alice')).toBe(true);
    expect(isUnread(message, 'r', { since, readTo: { r: 'A' } }, 'alice')).toBe(true);
    expect(isUnread(message, 'r', { since, readTo: { r: 'B' } }, 'alice')).toBe(false);
    expect(isUnread(message, 'r', { since, readTo: {} }, 'bob')).toBe(false);
    expect(isUnread(undefined, 'r', { since, readTo: {} }, 'alice')).toBe(false);
    // Before this browser was used for the first time.
    expect(isUnread({ ...message, sent_at: '2026-02-28T10:00:00.000Z' }, 'r', { since, readTo: {} }, 'alice')).toBe(
      false,
    );
  });

  test('four rooms are looked at each time, and every room in its turn', () => {
    const rooms = Array.from({ length: 300 }, (_, index) => room(index));
    const checked = new Map<string, { turn: number; ended: boolean }>();
    const seen = new Set<string>();
    for (let turn = 1; turn <= 75; turn++) {
      const next = nextToCheck(rooms, checked, undefined);
      expect(next.length).toBe(4);
      for (const { room_id } of next) {
        seen.add(room_id);
        checked.set(room_id, { turn, ended: false });
      }
    }
    expect(seen.size).toBe(300);
  });

  test('booked, archived and open rooms are not looked at, and ended ones once', () => {
    const rooms = [
      room(1, { status: 'booked' }),
      room(2, { archive_room: true }),
      room(3),
      room(4, { status: 'ended' }),
    ];
    const open = rooms[2]?.room_id;
    expect(nextToCheck(rooms, new Map(), open)).toEqual([rooms[3]]);
    expect(nextToCheck(rooms, new Map([[rooms[3]?.room_id ?? '', { turn: 1, ended: true }]]), open)).toEqual([]);
  });
});
