import fc from 'fast-check';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { RoomsError } from '../../core/contract/errors.ts';
import { backoffMs } from '../../core/platform/backoff.ts';
import { decodeCursor, encodeCursor } from '../../core/store/cursor.ts';
import { type ParticipantItem, type RoomItem, toMyRoom, toProfile } from '../../core/store/items.ts';
import * as keys from '../../core/store/keys.ts';
import { withRightToPost } from '../../core/store/posting.ts';

beforeAll(() => {
  process.env.CURSOR_KEY = 'a key of this test';
});

describe('a cursor', () => {
  const list = fc.string({ maxLength: 60 }).filter((text) => !text.includes('\n'));
  const position = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 128 }).filter((text) => text.isWellFormed());

  test('continues its own list', () => {
    fc.assert(
      fc.property(list, position, (name, where) => {
        const cursor = encodeCursor(name, where);
        expect(decodeCursor(name, cursor)).toBe(where);
        expect(cursor).toMatch(/^[\w-]+$/);
      }),
    );
  });

  test('is invalid in another list', () => {
    fc.assert(
      fc.property(list, list, position, (name, other, where) => {
        fc.pre(name !== other);
        expect(() => decodeCursor(other, encodeCursor(name, where))).toThrow('not valid');
      }),
    );
  });

  test('is invalid if any of its bytes is changed', () => {
    const bytes = Buffer.from(encodeCursor('list', 'position'), 'base64url');
    for (let index = 0; index < bytes.length; index++)
      for (const bit of [1, 0x80]) {
        const changed = Buffer.from(bytes);
        changed[index] = (changed[index] ?? 0) ^ bit;
        expect(() => decodeCursor('list', changed.toString('base64url'))).toThrow('not valid');
      }
  });

  test('is invalid with another signing key, and cannot be forged', () => {
    const cursor = encodeCursor('list', 'position');
    process.env.CURSOR_KEY = 'another key';
    expect(() => decodeCursor('list', cursor)).toThrow('not valid');
    process.env.CURSOR_KEY = 'a key of this test';
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.base64String()), (text) => {
        expect(() => decodeCursor('list', text)).toThrow('not valid');
      }),
    );
  });

  test('fits in the query of the contract, for any position', () => {
    expect(encodeCursor('list', 'x'.repeat(128)).length).toBeLessThanOrEqual(1_024);
  });
});

describe('keys', () => {
  const user = fc.stringMatching(/^[A-Za-z0-9._:@|-]{1,128}$/);
  const id = fc.uuid();
  const ofAnyKind = fc.oneof(
    id.map((room) => ({ kind: 'room', key: keys.roomKey(room), of: [room] })),
    fc
      .tuple(id, user)
      .map(([room, name]) => ({ kind: 'participant', key: keys.participantKey(room, name), of: [room, name] })),
    fc.tuple(id, id).map(([room, file]) => ({ kind: 'file', key: keys.fileKey(room, file), of: [room, file] })),
    fc
      .tuple(id, id)
      .map(([room, message]) => ({ kind: 'message', key: keys.messageKey(room, message), of: [room, message] })),
    fc.tuple(id, user, user).map(([room, name, own]) => ({
      kind: 'sent',
      key: keys.sentKey(room, name, own.replace(/[@|]/g, '-')),
      of: [room, name, own.replace(/[@|]/g, '-')],
    })),
    fc.tuple(user, fc.stringMatching(/^[\x21-\x7e]{1,255}$/)).map(([name, key]) => ({
      kind: 'idempotency',
      key: keys.idempotencyKey(name, key),
      of: [name, key],
    })),
  );

  test('of different things are different', () => {
    fc.assert(
      fc.property(ofAnyKind, ofAnyKind, (a, b) => {
        const same = a.key.PK === b.key.PK && a.key.SK === b.key.SK;
        expect(same).toBe(a.kind === b.kind && JSON.stringify(a.of) === JSON.stringify(b.of));
      }),
      { numRuns: 2_000 },
    );
  });

  test('contain the room, which can be read from the partition', () => {
    fc.assert(
      fc.property(id, (room) => {
        expect(keys.roomIdOf(keys.roomPartition(room))).toBe(room);
      }),
    );
  });

  test('the prefix of participants matches no other kind', () => {
    expect(keys.roomKey('r').SK.startsWith(keys.PARTICIPANT)).toBe(false);
    expect(keys.fileKey('r', 'PARTICIPANT#x').SK.startsWith(keys.PARTICIPANT)).toBe(false);
    expect(keys.sentKey('r', 'MESSAGE', 'x').SK.startsWith(keys.MESSAGE)).toBe(false);
  });
});

const room: RoomItem = {
  ...keys.roomKey('r'),
  room_id: 'r',
  name: 'n',
  start_time: '2026-03-01T09:30:00.000Z',
  admins: new Set(['alice']),
  created_by: 'alice',
  created_at: '2026-03-01T09:30:00.000Z',
  updated_at: '2026-03-01T09:30:00.000Z',
};

describe('items', () => {
  test('attributes that are not stored are null or false in a response, and never missing', () => {
    const answer = toMyRoom(room, { added_at: room.created_at }, undefined, 'bob', '2026-03-01T09:30:00.000Z');
    expect(answer).toEqual({
      room_id: 'r',
      name: 'n',
      description: null,
      start_time: '2026-03-01T09:30:00.000Z',
      end_time: null,
      status: 'started',
      end_reason: null,
      posting: 'everyone',
      metadata: null,
      end_warnings_seconds: [300, 60],
      announcements: [],
      created_by: 'alice',
      created_at: '2026-03-01T09:30:00.000Z',
      updated_at: '2026-03-01T09:30:00.000Z',
      is_admin: false,
      role: 'member',
      username: null,
      archive_room: false,
      read_to: null,
      last_message_at: null,
      has_unread: false,
    });
    expect(toProfile('bob')).toEqual({ participant_id: 'bob', username: null, archive_room: false });
  });

  test('a response shows neither keys nor the other admins', () => {
    expect(
      JSON.stringify(toMyRoom(room, { added_at: room.created_at }, undefined, 'alice', room.created_at)),
    ).not.toMatch(/PK|SK|admins|#/);
  });
});

test('a write of an admin is refused after three reads if the room is locked after each of them', async () => {
  const participant: ParticipantItem = {
    ...keys.participantKey('r', 'alice'),
    GSI1PK: 'u',
    GSI1SK: 'r',
    room_id: 'r',
    participant_id: 'alice',
    added_by: 'alice',
    added_at: room.created_at,
  };
  const read = vi.fn(async () => ({ room, participant }));
  const write = vi.fn(async () => {
    throw new RoomsError(write.mock.calls.length < 10 ? 'read_only' : 'internal');
  });
  await expect(withRightToPost(read, write)).rejects.toMatchObject({ code: 'read_only' });
  expect([read.mock.calls.length, write.mock.calls.length]).toEqual([3, 3]);
});

test('the wait before a retry grows, is random, and has a maximum', () => {
  for (let attempt = 1; attempt < 20; attempt++) {
    const waits = Array.from({ length: 200 }, () => backoffMs(attempt));
    expect(Math.max(...waits)).toBeLessThanOrEqual(Math.min(500, 25 * 2 ** attempt));
    expect(new Set(waits).size).toBeGreaterThan(100);
  }
});
