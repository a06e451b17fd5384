import fc from 'fast-check';
import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { events } from '../../core/contract/realtime.ts';
import {
  type Change,
  type Effect,
  effectsOf,
  type Present,
  participantChanged,
  roomChanged,
} from '../../core/realtime/changes.ts';
import {
  type ConnectionItem,
  type ParticipantItem,
  type RoomItem,
  toAddedParticipant,
  toProfile,
  toRoom,
} from '../../core/store/items.ts';
import { type Key, participantKey, roomKey, userRoomKey } from '../../core/store/keys.ts';

const room_id = '0190aaaa-0000-7000-8000-000000000000';
const T = (minute: number, second = 0) => new Date(Date.UTC(2026, 0, 1, 12, minute, second)).toISOString();

const room = (changes: Partial<RoomItem> = {}): RoomItem => ({
  ...roomKey(room_id),
  room_id,
  name: 'A room',
  start_time: T(0),
  admins: new Set(['alice']),
  created_by: 'alice',
  created_at: T(0),
  updated_at: T(0),
  ...changes,
});
const participant = (changes: Partial<ParticipantItem> = {}): ParticipantItem => ({
  ...participantKey(room_id, 'bob'),
  ...userRoomKey(room_id, 'bob'),
  room_id,
  participant_id: 'bob',
  added_by: 'alice',
  added_at: T(0),
  ...changes,
});

/** The kind of an effect. For events, their type. */
const kindOf = (effect: Effect): string => (effect.kind === 'event' ? effect.event.type : effect.kind);
/** The kinds of effects, without the schedule of warnings and announcements: see agenda.test.ts. */
const kinds = (effects: readonly Effect[]): string[] =>
  effects.filter((effect) => !(effect.kind === 'schedule' && effect.moment === 'next')).map(kindOf);
const dataOf = (effects: readonly Effect[], type: string): unknown =>
  effects.flatMap((effect) => (effect.kind === 'event' && effect.event.type === type ? [effect.event.data] : []))[0];

describe('a room', () => {
  const now = T(10, 1);
  /** The effects of a record that is processed before the item changes again. */
  const fresh = (change: { old?: RoomItem; new: RoomItem }, at: string) => roomChanged(change, change.new, at);
  const changed = (before: Partial<RoomItem>, after: Partial<RoomItem>, at = now) =>
    fresh({ old: room(before), new: room({ updated_at: T(10), ...before, ...after }) }, at);

  test('is created', () => {
    const effects = fresh({ new: room() }, T(0, 1));
    expect(kinds(effects)).toEqual(['room_created']);
    expect(dataOf(effects, 'room_created')).toMatchObject({ room_id, name: 'A room', status: 'started' });
  });

  test('is created with future times', () => {
    expect(kinds(fresh({ new: room({ start_time: T(30) }) }, T(0, 1)))).toEqual(['room_created', 'schedule']);
    expect(kinds(fresh({ new: room({ end_time: T(30) }) }, T(0, 1)))).toEqual(['room_created', 'schedule']);
    expect(kinds(fresh({ new: room({ start_time: T(20), end_time: T(30) }) }, T(0, 1)))).toEqual([
      'room_created',
      'schedule',
      'schedule',
    ]);
  });

  test.each<[string, Partial<RoomItem>, Partial<RoomItem>, string[]]>([
    ['another name', {}, { name: 'B' }, ['room_updated']],
    ['a description', {}, { description: 'x' }, ['room_updated']],
    ['no description, after it had one', { description: 'x' }, { description: undefined as never }, ['room_updated']],
    ['another start time', { start_time: T(30) }, { start_time: T(40) }, ['schedule', 'room_updated']],
    ['an end in the future', {}, { end_time: T(40) }, ['schedule', 'room_updated']],
    [
      'another end in the future',
      { end_time: T(40) },
      { end_time: T(50), end_reason: 'x' },
      ['schedule', 'room_updated'],
    ],
    ['no end, after it had one', { end_time: T(40) }, { end_time: undefined as never }, ['schedule', 'room_updated']],
    ['another reason for its end', { end_time: T(40) }, { end_reason: 'late' }, ['room_updated']],
    ['an end now', {}, { end_time: T(10) }, ['schedule', 'room_ended', 'close_room']],
    [
      'an end now, before its previous end',
      { end_time: T(40) },
      { end_time: T(10) },
      ['schedule', 'room_ended', 'close_room'],
    ],
    ['an end before its start', { start_time: T(30) }, { end_time: T(10) }, ['schedule', 'room_ended', 'close_room']],
  ])('gets %s', (_, before, after, expected) => {
    expect(kinds(changed(before, after))).toEqual(expected);
  });

  /** The compiler requires a value for each new attribute that can change. */
  const values: Required<Omit<RoomItem, keyof Key | 'room_id' | 'admins' | `created_${string}` | 'updated_at'>> = {
    name: 'B',
    description: 'x',
    start_time: T(0, 1),
    end_time: T(40),
    end_reason: 'late',
    posting: 'admins',
    metadata: '{}',
    end_warnings_seconds: [120],
    announcements: [{ announcement_id: 'a', message: 'x', relative_from: 'end', relative_time_in_seconds: -60 }],
  };
  test.each(Object.entries(values))('is announced if its %s changes', (name, value) => {
    expect(kinds(changed({}, { [name]: value }))).toContain('room_updated');
  });

  test('gets an end that has passed when its record is read: the end is announced at once', () => {
    expect(kinds(changed({}, { end_time: T(10, 1) }, T(10, 2)))).toEqual(['schedule', 'room_ended', 'close_room']);
  });

  test('gets a start that has passed when its record is read: the start is announced at once', () => {
    const expected = ['schedule', 'room_updated', 'room_started'];
    expect(kinds(changed({ start_time: T(30) }, { start_time: T(10, 1) }, T(10, 2)))).toEqual(expected);
    expect(kinds(changed({ start_time: T(30) }, { start_time: T(10) }))).toEqual(expected);
    expect(kinds(fresh({ new: room({ start_time: T(0, 1) }) }, T(0, 2)))).toEqual([
      'room_created',
      'schedule',
      'room_started',
    ]);
  });

  test('that has started does not start again', () => {
    expect(kinds(changed({}, { start_time: T(0, 1) }))).toEqual(['schedule', 'room_updated']);
  });

  test('that has ended does not end again after another change', () => {
    expect(kinds(changed({ end_time: T(5) }, { name: 'B' }))).toEqual(['room_updated']);
  });

  test('gets and loses admins: each change is announced together with other changed fields', () => {
    const effects = fresh(
      {
        old: room({ admins: new Set(['alice', 'bob']) }),
        new: room({ admins: new Set(['alice', 'carol']), name: 'B', updated_at: T(10) }),
      },
      now,
    );
    expect(kinds(effects)).toEqual(['participant_updated', 'participant_updated', 'room_updated']);
    expect(effects).toContainEqual(
      expect.objectContaining({
        event: { type: 'participant_updated', room_id, data: { participant_id: 'bob', is_admin: false }, sent_at: now },
      }),
    );
    expect(effects).toContainEqual(
      expect.objectContaining({
        event: {
          type: 'participant_updated',
          room_id,
          data: { participant_id: 'carol', is_admin: true },
          sent_at: now,
        },
      }),
    );
  });

  test('is written without a change: no event is sent', () => {
    expect(changed({}, { updated_at: T(9) })).toEqual([]);
  });
});

describe('a participant', () => {
  const now = T(10);
  const fresh = (change: { old?: ParticipantItem; new?: ParticipantItem }) =>
    participantChanged(change, change.new, now);
  const changed = (before: Partial<ParticipantItem>, after: Partial<ParticipantItem>) =>
    fresh({ old: participant(before), new: participant({ ...before, ...after }) });
  const one = new Set(['c1']);
  const two = new Set(['c1', 'c2']);
  const none = undefined as never;

  test('is added', () => {
    const effects = fresh({ new: participant() });
    expect(kinds(effects)).toEqual(['participant_added', 'notify']);
    expect(dataOf(effects, 'participant_added')).toEqual({
      participant_id: 'bob',
      username: null,
      archive_room: false,
      role: 'member',
    });
  });

  test.each<[string, Partial<ParticipantItem>, Partial<ParticipantItem>, string[]]>([
    ['joins', {}, { connections: one, present: true }, ['peer_joined', 'liveness']],
    ['joins with a second connection', { connections: one, present: true }, { connections: two }, ['liveness']],
    ['leaves', { connections: one, present: true }, { connections: none, present: none }, ['peer_left']],
    ['leaves with one of two connections', { connections: two, present: true }, { connections: one }, []],
    ['loses one of two connections', { connections: two, present: true }, { connections: one, left_at: T(9) }, []],
    [
      'loses the last connection',
      { connections: one, present: true },
      { connections: none, left_at: T(9) },
      ['absence'],
    ],
    [
      'loses the last connection, after losing another',
      { connections: one, present: true, left_at: T(8) },
      { connections: none, left_at: T(9) },
      ['absence'],
    ],
    [
      'returns within the grace period',
      { present: true, left_at: T(9) },
      { connections: one, left_at: none },
      ['liveness'],
    ],
    [
      'does not return within the grace period',
      { present: true, left_at: T(9) },
      { present: none, left_at: none },
      ['peer_left'],
    ],
    ['gets a name', {}, { username: 'Bob' }, ['participant_updated']],
    ['loses the name', { username: 'Bob' }, { username: none }, ['participant_updated']],
    ['archives the room', {}, { archive_room: true }, ['participant_updated']],
    ['sets the default value', {}, { archive_room: false }, []],
  ])('%s', (_, before, after, expected) => {
    expect(kinds(changed(before, after))).toEqual(expected);
  });

  test('is announced with the changed fields only', () => {
    expect(dataOf(changed({ archive_room: true }, { username: 'Bob' }), 'participant_updated')).toEqual({
      participant_id: 'bob',
      username: 'Bob',
    });
    expect(dataOf(changed({ username: 'Bob' }, { username: none, archive_room: true }), 'participant_updated')).toEqual(
      {
        participant_id: 'bob',
        username: null,
        archive_room: true,
      },
    );
    expect(dataOf(changed({ username: 'Bob' }, { present: true, connections: one }), 'peer_joined')).toEqual({
      participant_id: 'bob',
      username: 'Bob',
    });
  });

  test('is removed', () => {
    const removed = (before: Partial<ParticipantItem>) => fresh({ old: participant(before) });
    expect(kinds(removed({}))).toEqual(['participant_removed', 'notify']);
    expect(kinds(removed({ present: true, left_at: T(9) }))).toEqual(['peer_left', 'participant_removed', 'notify']);
    const effects = removed({ present: true, connections: two });
    expect(kinds(effects)).toEqual(['peer_left', 'participant_removed', 'notify', 'close']);
    const event = {
      type: 'participant_removed',
      room_id,
      data: { participant_id: 'bob', reason: 'removed' },
      sent_at: now,
    };
    expect(effects.at(-1)).toEqual({
      kind: 'close',
      room_id,
      participant_id: 'bob',
      connections: ['c1', 'c2'],
      event,
    });
    // Connections that are closed receive the event with the closing.
    expect(effects.at(-2)).toEqual({ kind: 'notify', participant_id: 'bob', event, except: ['c1', 'c2'] });
  });
});

describe('for any history of an item', () => {
  const time = fc.integer({ min: 0, max: 59 }).map((minute) => T(minute));
  const maybe = <Value>(arbitrary: fc.Arbitrary<Value>) => fc.option(arbitrary, { nil: undefined });
  const defined = <Item extends object>(item: Item) =>
    Object.fromEntries(Object.entries(item).filter(([, value]) => value !== undefined)) as Item;
  const users = fc.uniqueArray(fc.constantFrom('alice', 'bob', 'carol'), { minLength: 1 }).map((ids) => new Set(ids));
  const anyRoom = fc
    .record({
      name: fc.constantFrom('A', 'B'),
      description: maybe(fc.constantFrom('x', 'y')),
      start_time: time,
      end_time: maybe(time),
      end_reason: maybe(fc.constant('done')),
      admins: users,
      updated_at: time,
    })
    .map((changes) => defined(room(changes as Partial<RoomItem>)));
  const anyParticipant = fc
    .record({
      username: maybe(fc.constantFrom('Bob', 'Rob')),
      archive_room: maybe(fc.boolean()),
      connections: maybe(fc.constantFrom(new Set(['c1']), new Set(['c1', 'c2']))),
      present: maybe(fc.constant(true)),
      left_at: maybe(time),
    })
    .map((changes) => defined(participant(changes as Partial<ParticipantItem>)));

  test('a record without a change has no effect', () => {
    fc.assert(
      fc.property(anyRoom, anyParticipant, time, (old, bob, now) => {
        expect(roomChanged({ old, new: structuredClone(old) }, old, now)).toEqual([]);
        expect(participantChanged({ old: bob, new: structuredClone(bob) }, bob, now)).toEqual([]);
      }),
    );
  });

  test('every event matches the contract and contains current data, even if the record is old', () => {
    fc.assert(
      fc.property(
        fc.tuple(maybe(anyRoom), anyRoom, maybe(anyRoom)),
        fc.tuple(maybe(anyParticipant), maybe(anyParticipant), maybe(anyParticipant)),
        time,
        ([oldRoom, newRoom, roomNow], [oldBob, newBob, bobNow], now) => {
          const effects = [
            ...roomChanged({ old: oldRoom, new: newRoom }, roomNow, now),
            ...participantChanged({ old: oldBob, new: newBob }, bobNow, now),
          ];
          for (const effect of effects) {
            if (effect.kind !== 'event') continue;
            const { type, data, ...rest } = effect.event;
            expect(rest).toEqual({ room_id, sent_at: now });
            expect(v.parse(events[type].data, data)).toEqual(data);
            if (type.startsWith('room_')) expect(data).toEqual(roomNow && toRoom(roomNow, now));
            if (type === 'room_started') expect(data).toMatchObject({ status: 'started' });
            if (type === 'room_ended') expect(data).toMatchObject({ status: 'ended' });
            if (type === 'peer_joined' || type === 'peer_left')
              expect(type === 'peer_joined').toBe(bobNow?.present ?? false);
            if (type === 'participant_removed') expect(bobNow).toBeUndefined();
            if (type === 'participant_added') expect(data).toEqual(bobNow && toAddedParticipant('bob', bobNow));
            if (type === 'participant_updated' && 'is_admin' in data)
              expect(data.is_admin).toBe(roomNow?.admins.has(data.participant_id));
            else if (type === 'participant_updated') expect(toProfile('bob', bobNow)).toMatchObject(data);
          }
        },
      ),
    );
  });

  test('no effect closes a connection that has joined, or queues a check of a present participant', () => {
    fc.assert(
      fc.property(
        maybe(anyParticipant),
        maybe(anyParticipant),
        maybe(anyParticipant),
        time,
        (old, changed, item, now) => {
          for (const effect of participantChanged({ old, new: changed }, item, now)) {
            if (effect.kind === 'close')
              expect(new Set(effect.connections).intersection(item?.connections ?? new Set())).toEqual(new Set());
            if (effect.kind === 'absence')
              expect([item?.present, item?.connections, item?.left_at]).toEqual([true, undefined, effect.left_at]);
          }
        },
      ),
    );
  });

  test('a change of presence is sent only if it is still true', () => {
    fc.assert(
      fc.property(
        maybe(anyParticipant),
        maybe(anyParticipant),
        maybe(anyParticipant),
        time,
        (old, changed, item, now) => {
          const sent = kinds(participantChanged({ old, new: changed }, item, now)).filter((kind) =>
            kind.startsWith('peer_'),
          );
          const [before, after, present] = [old, changed, item].map((each) => each?.present ?? false);
          expect(sent).toEqual(before === after || after !== present ? [] : [after ? 'peer_joined' : 'peer_left']);
        },
      ),
    );
  });

  test('the schedule of a changed time follows it, and that of an unchanged time is kept', () => {
    fc.assert(
      fc.property(anyRoom, anyRoom, anyRoom, time, (old, changed, item, now) => {
        const scheduled = roomChanged({ old, new: changed }, item, now).flatMap((effect) =>
          effect.kind === 'schedule' && effect.moment !== 'next' ? [effect.moment] : [],
        );
        expect(scheduled).toEqual([
          ...(old.start_time === changed.start_time ? [] : ['start']),
          ...(old.end_time === changed.end_time ? [] : ['end']),
        ]);
      }),
    );
  });
});

describe('changes that arrive together', () => {
  const now = T(10);
  const present = (items: {
    room?: RoomItem;
    bob?: ParticipantItem;
    connections?: string[];
    left?: string;
  }): Present => ({
    room: items.room,
    participants: new Map(items.bob ? [['bob', items.bob]] : []),
    left: new Map(items.left ? [['bob', items.left]] : []),
    connections: new Set(items.connections),
  });
  const ofBob = (change: Change<ParticipantItem>) => ({ of: 'participant', participant_id: 'bob', change }) as const;
  const ofRoom = (change: Change<RoomItem>) => ({ of: 'room', change }) as const;

  test('of the same thing become one event with current data', () => {
    const names = ['A', 'B', 'C', 'D'].map((name) => room({ name }));
    const effects = effectsOf(
      names.slice(1).map((changed, n) => ofRoom({ old: names[n], new: changed })),
      present({ room: names[3] as RoomItem }),
      now,
    );
    expect(kinds(effects)).toEqual(['room_updated']);
    expect(dataOf(effects, 'room_updated')).toMatchObject({ name: 'D' });
  });

  test('send only the addition if a user was removed and added again, and close earlier connections', () => {
    const before = participant({ connections: new Set(['c1', 'c2']), present: true });
    const after = participant({ connections: new Set(['c2']), present: true });
    const effects = effectsOf(
      [ofBob({ old: before }), ofBob({ new: participant() }), ofBob({ old: participant(), new: after })],
      present({ bob: after }),
      now,
    );
    expect(kinds(effects)).toEqual(['close', 'participant_added', 'notify', 'peer_joined', 'liveness']);
    expect(effects[0]).toMatchObject({ connections: ['c1'], event: undefined });
  });

  test('close a connection whose join was stored after the end of the room', () => {
    const before = participant({ connections: new Set(['c1']), present: true });
    const after = participant({ connections: new Set(['c1', 'c2']), present: true });
    const join = ofBob({ old: before, new: after });
    const live = present({ room: room(), bob: after });
    expect(kinds(effectsOf([join], live, now))).toEqual(['liveness']);
    const ended = present({ room: room({ end_time: T(9) }), bob: after });
    const effects = effectsOf([join], ended, now);
    expect(kinds(effects)).toEqual(['liveness', 'close']);
    expect(effects[1]).toMatchObject({ connections: ['c2'], event: { type: 'room_ended', data: { status: 'ended' } } });
    // The connection has already left, so it is not closed.
    expect(kinds(effectsOf([join], present({ room: room({ end_time: T(9) }), bob: before }), now))).not.toContain(
      'close',
    );
  });

  test('do not affect a connection that has joined again after its item expired', () => {
    const connection = { room_id, connection_id: 'c1', participant_id: 'bob' } as ConnectionItem;
    const expired = { of: 'expired_connection', connection } as const;
    expect(effectsOf([expired], present({ connections: ['c1'] }), now)).toEqual([]);
    expect(kinds(effectsOf([expired, expired], present({}), now))).toEqual(['expired']);
  });
});
