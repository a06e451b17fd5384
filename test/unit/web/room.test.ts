import { describe, expect, test } from 'vitest';
import type { ListedParticipant, Message, MyRoom } from '../../../client/src/index.ts';
import { peopleChanges, plainText, roomChanges } from '../../../web/src/room/sentences.ts';
import { emptyRoom, type RoomState, timeline, withNotices, withPeople } from '../../../web/src/room/state.ts';
import { messageDefaults } from '../../support/defaults.ts';

const person = (id: string, changes: Partial<ListedParticipant> = {}): ListedParticipant => ({
  participant_id: id,
  username: null,
  archive_room: false,
  is_admin: false,
  role: 'member',
  read_to: null,
  online: false,
  ...changes,
});

const changesBetween = (before: ListedParticipant[], after: ListedParticipant[]) =>
  peopleChanges(before, after, 'me').map(plainText);

describe('notices about participants', () => {
  test('show the names of users who were added and removed', () => {
    expect(changesBetween([person('me')], [person('me'), person('dave', { username: 'Dave' })])).toEqual([
      'Dave was added.',
    ]);
    expect(changesBetween([person('me'), person('dave', { username: 'Dave' })], [person('me')])).toEqual([
      'Dave was removed.',
    ]);
    expect(changesBetween([], [person('me')])).toEqual([]);
  });

  test('show changes of the admin right and of names', () => {
    const admin = { is_admin: true };
    expect(changesBetween([person('bob')], [person('bob', admin)])).toEqual(['bob is now an admin.']);
    expect(changesBetween([person('bob', admin)], [person('bob')])).toEqual(['bob is no longer an admin.']);
    expect(changesBetween([person('me')], [person('me', { ...admin, username: 'Me' })])).toEqual([
      'You are now an admin.',
      'You are now called Me.',
    ]);
    expect(changesBetween([person('bob', { username: 'Bob' })], [person('bob')])).toEqual(['Bob is now called bob.']);
  });

  test('end with one period, even if a name ends with one', () => {
    expect(changesBetween([person('a')], [person('a', { username: 'Alice A.' })])).toEqual([
      'a is now called Alice A.',
    ]);
    expect(changesBetween([person('a', { username: 'Alice A.' })], [person('a', { username: 'Al' })])).toEqual([
      'Alice A. is now called Al.',
    ]);
  });

  test('do not mention presence, or the first list of participants', () => {
    expect(changesBetween([person('bob')], [person('bob', { online: true })])).toEqual([]);
    const people = [person('me'), person('bob')];
    const known = withPeople(emptyRoom, people, 'me', '2026-03-01T09:00:00.000Z');
    expect(known.notices).toEqual([]);
    const again = withPeople(known, people.concat(person('dave')), 'me', '2026-03-01T09:01:00.000Z');
    expect(again.notices.map(({ sentence }) => plainText(sentence))).toEqual(['dave was added.']);
    // The list already showed this change, so the later event adds no notice.
    expect(withPeople(again, again.people ?? [], 'me', '2026-03-01T09:01:01.000Z').notices).toEqual(again.notices);
  });

  test('isolate names, so that each keeps its own text direction', () => {
    expect(peopleChanges([], [person('x', { username: 'דוד' })], 'me')).toEqual([[{ name: 'דוד' }, ' was added.']]);
  });
});

test('notices about a room show its new name and times, but not the end of a room that has ended', () => {
  const room: Pick<MyRoom, 'name' | 'description' | 'start_time' | 'end_time' | 'status'> = {
    name: 'A',
    description: null,
    start_time: '2026-03-01T09:00:00.000Z',
    end_time: null,
    status: 'started',
  };
  const changes = (after: Partial<typeof room>) => roomChanges(room, { ...room, ...after }).map(plainText);
  expect(changes({ name: 'Alice A.' })).toEqual(['The room is now called “Alice A.”']);
  expect(changes({ name: 'B' })).toEqual(['The room is now called “B”.']);
  expect(changes({ description: 'x' })).toEqual(['The description was changed.']);
  expect(changes({ end_time: '2026-03-01T10:00:00.000Z' })[0]).toMatch(/^The room ends at .*\d\d[^Z]*\.$/);
  expect(changes({ end_time: '2026-03-01T10:00:00.000Z', status: 'ended' })).toEqual([]);
});

describe('the timeline', () => {
  const message = (number: number): Message => ({
    ...messageDefaults,
    message_id: `01J00000000000000000000${String(number).padStart(3, '0')}`,
    room_id: 'r',
    sender_id: 'bob',
    client_message_id: `c${number}`,
    text: `Message ${number}`,
    sent_at: new Date(Date.UTC(2026, 2, 1, 9, number)).toISOString(),
  });
  const at = (minute: number): string => new Date(Date.UTC(2026, 2, 1, 9, minute, 30)).toISOString();
  const shown = (state: Partial<RoomState>): string[] =>
    timeline({ ...emptyRoom, ...state }, 'me').flatMap((line) =>
      line.kind === 'notice'
        ? [plainText(line.notice.sentence)]
        : line.kind === 'message'
          ? [line.message.text ?? '']
          : [],
    );
  const notices = withNotices(withNotices(emptyRoom, [['Late.']], at(7)), [['Early.']], at(1)).notices;

  test('shows notices between messages in order of time', () => {
    expect(shown({ messages: [message(1), message(5), message(9)], notices, earlier: 'none' })).toEqual([
      'Message 1',
      'Early.',
      'Message 5',
      'Late.',
      'Message 9',
    ]);
  });

  test('omits notices from before the loaded messages', () => {
    expect(shown({ messages: [message(5)], notices, earlier: 'more' })).toEqual(['Message 5', 'Late.']);
    expect(shown({ messages: [], notices, earlier: 'loading' })).toEqual([]);
    expect(shown({ messages: [], notices, earlier: 'none' })).toEqual(['Early.', 'Late.']);
  });
});
