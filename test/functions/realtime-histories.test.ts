import type { DynamoDBRecord } from 'aws-lambda';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { plus } from '../../core/rules/time.ts';
import { connectionsOf } from '../../core/store/connections.ts';
import type { ParticipantItem } from '../../core/store/items.ts';
import { participantKey } from '../../core/store/keys.ts';
import { get } from '../../core/store/read.ts';
import { handler as roomChanges } from '../../functions/events/room-changes.ts';
import { data, invoke } from '../support/invoke.ts';
import { startRealtimeServices } from '../support/realtime-services.ts';
import { runEventFunction } from '../support/run-event-function.ts';
import { invokeAction, newSocket, reply, type Socket } from '../support/socket.ts';
import { changesIn, recorded } from '../support/stream.ts';
import { newRoom } from '../support/world.ts';

/*
 * Random histories of a room. Stream records are delivered twice, late, out of order and partially. After every record
 * has been read, schedules, presence and sockets match the table.
 */

const { management, services } = await startRealtimeServices();

const MINUTE = 60_000;

/** A step of a history. `who` is the index of a user, and `n` the index of one of the connections opened so far. */
type Step =
  | { readonly do: 'add' | 'remove' | 'grant' | 'revoke' | 'rename' | 'join'; readonly who: number }
  | { readonly do: 'rejoin' | 'leave'; readonly n: number }
  | { readonly do: 'move_end' | 'move_start'; readonly minutes: number }
  | { readonly do: 'clear_end' | 'end' }
  /**
   * Delivers records. The first `from` undelivered records are skipped and stay undelivered. `again` lists old records
   * that are repeated.
   */
  | { readonly do: 'deliver'; readonly from: number; readonly count: number; readonly again: readonly number[] };

const who = fc.nat(2);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('add', 'remove', 'join'), who }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('grant', 'revoke', 'rename'), who }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('rejoin', 'leave'), n: fc.nat(9) }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom('move_end', 'move_start'), minutes: fc.integer({ min: 5, max: 55 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('clear_end') }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('deliver'),
      from: fc.nat(4),
      count: fc.nat(8),
      again: fc.array(fc.nat(60), { maxLength: 4 }),
    }),
  },
) as fc.Arbitrary<Step>;

const history = fc.record({
  steps: fc.array(step, { minLength: 4, maxLength: 24 }),
  booked: fc.integer({ max: 3, min: 0 }).map((n) => n === 0),
  ends: fc.integer({ max: 3, min: 0 }).map((n) => n === 0),
  /** The order in which the remaining records are delivered. */
  order: fc.array(fc.nat(), { minLength: 40, maxLength: 40 }),
});

type History = typeof history extends fc.Arbitrary<infer Values> ? Values : never;

/** Plays one history, and checks the final state. */
async function play({ steps, booked, ends, order }: History): Promise<void> {
  management.reset();
  services.reset();
  const pending: DynamoDBRecord[] = [];
  const delivered: DynamoDBRecord[] = [];
  let deliveries = 0;

  const inMinutes = (minutes: number) => new Date(Date.now() + minutes * MINUTE).toISOString();
  const users: string[] = [];
  let room_id = '';
  let admin = '';
  const note = async (work: () => Promise<unknown>) => {
    pending.push(...changesIn(await recorded(work)).Records);
  };
  await note(async () => {
    const world = await newRoom({ body: booked ? { start_time: inMinutes(30) } : {} });
    room_id = world.room_id;
    admin = world.admin;
    users.push(world.member, world.outsider, `other-${world.outsider}`);
  });
  const sockets: Socket[] = [];
  /** The client of a closed connection sends no further frames. */
  const isOpen = ({ connection_id }: Socket) => !management.closed.includes(connection_id);
  const params = { room_id };
  // If the room has started, this connection is open during the whole history.
  const watcher = booked ? undefined : newSocket(admin);
  if (watcher) await note(() => reply('join', watcher, params));

  const deliver = async (records: readonly DynamoDBRecord[]) => {
    if (records.length === 0) return;
    // New event IDs make the function process each delivery as if it had just started.
    const events = records.map((record) => ({ ...record, eventID: `${record.eventID}/${deliveries++}` }));
    const { result } = await runEventFunction('room-changes', (context) => roomChanges({ Records: events }, context));
    expect(result.batchItemFailures).toEqual([]);
  };

  const doing = async (each: Exclude<Step, { do: 'deliver' }>): Promise<unknown> => {
    // Rejected requests are part of a history, for example because the room is booked or the user is not a participant.
    if ('who' in each) {
      const user = users[each.who] ?? '';
      const participant = { ...params, participant_id: user };
      switch (each.do) {
        case 'add':
          return invoke('addParticipants', { as: admin, params, body: { participant_ids: [user] } });
        case 'remove':
          return invoke('removeParticipants', { as: admin, params, body: { participant_ids: [user] } });
        case 'grant':
          return invoke('grantAdmin', { as: admin, params: participant });
        case 'revoke':
          return invoke('revokeAdmin', { as: admin, params: participant });
        case 'rename':
          return invoke('updateProfile', { as: user, params, body: { username: `n${Math.random()}` } });
        default: {
          const socket = newSocket(user);
          sockets.push(socket);
          return invokeAction('join', socket, params);
        }
      }
    }
    if ('n' in each) {
      const socket = sockets[each.n % Math.max(1, sockets.length)];
      return socket && isOpen(socket)
        ? invokeAction(each.do === 'leave' ? 'leave' : 'join', socket, params)
        : undefined;
    }
    if (each.do === 'move_end')
      return invoke('changeRoom', { as: admin, params, body: { end_time: inMinutes(each.minutes + 60) } });
    if (each.do === 'move_start')
      return invoke('changeRoom', { as: admin, params, body: { start_time: inMinutes(each.minutes) } });
    return invoke('changeRoom', { as: admin, params, body: { end_time: null } });
  };

  for (const each of steps) {
    if (each.do !== 'deliver') {
      await note(() => doing(each));
      continue;
    }
    const some = pending.splice(each.from % Math.max(1, pending.length), each.count);
    const again = each.again.flatMap((n) => delivered[n % Math.max(1, delivered.length)] ?? []);
    await deliver([...again, ...some]);
    delivered.push(...some);
  }
  if (ends) await note(() => invoke('endRoom', { as: admin, params }));

  // Delivers all remaining records, and many old ones, in random order and in parts. Some are delivered twice.
  const last = [...pending, ...delivered].map((record, n) => ({ record, at: order[n % order.length] ?? 0 }));
  const shuffled = last.toSorted((a, b) => a.at - b.at).map(({ record }) => record);
  while (shuffled.length > 0) {
    const part = shuffled.splice(0, 1 + ((order[shuffled.length % order.length] ?? 0) % 5));
    await deliver(part);
    if (part.length % 2 === 0) await deliver(part.toReversed());
  }

  // Exactly the schedules exist that the room's times require.
  const room = await data('getRoom', { as: admin, params });
  const scheduled = Object.fromEntries(
    [...services.schedules].map(([name, { Target }]) => [name.slice(37), JSON.parse(Target.Input).time]),
  );
  const now = new Date().toISOString();
  const warnings = room.end_warnings_seconds.map((seconds) => plus(room.end_time ?? now, -seconds * 1_000));
  const next = warnings.filter((at) => room.end_time && at > now && at >= room.start_time).toSorted()[0];
  // The schedule of a past warning can remain. It does not fire again.
  if (scheduled.next <= now) delete scheduled.next;
  expect(scheduled).toEqual({
    ...(next && { next }),
    ...(room.start_time > now && { start: room.start_time }),
    ...(room.end_time && room.end_time > now && { end: room.end_time }),
  });

  // A socket in the table is open, unless the room has ended. A socket of a user who is no longer a participant is
  // closed.
  const known = new Map<string, string>();
  for (const { connection_id, participant_id } of (await connectionsOf(room_id)).live)
    known.set(connection_id, participant_id);
  for (const user of users) {
    const participant = await get<ParticipantItem>(participantKey(room_id, user));
    const own = sockets.filter(({ user_id }) => user_id === user);
    const inTable = own.filter(({ connection_id }) => known.has(connection_id));
    expect(new Set(inTable.map(({ connection_id }) => connection_id))).toEqual(participant?.connections ?? new Set());
    if (!ends) expect(inTable.filter((socket) => !isOpen(socket))).toEqual([]);
    else expect(inTable.filter(isOpen)).toEqual([]);
  }

  // The last event about each thing that the watcher received agrees with the API.
  if (!watcher || ends) return;
  const announced = { participants: new Set([admin, users[0]]), present: new Set([admin]), admins: new Set([admin]) };
  const names = new Map<string, unknown>();
  const is = <T>(set: Set<T>, what: T, there: boolean) => void (there ? set.add(what) : set.delete(what));
  for (const { type, data: about } of management.received(watcher.connection_id)) {
    const user = String(about.participant_id);
    if (type === 'participant_added') is(announced.participants, user, true);
    if (type === 'participant_removed') is(announced.participants, user, false);
    if (type === 'peer_joined' || type === 'peer_left') is(announced.present, user, type === 'peer_joined');
    if (type === 'participant_updated' && 'is_admin' in about) is(announced.admins, user, about.is_admin === true);
    if (type.startsWith('participant_') && 'username' in about) names.set(user, about.username);
  }
  const all = await data('listParticipants', { as: admin, params });
  const idsWhere = (condition: (each: (typeof all)[number]) => boolean) =>
    all.filter(condition).map(({ participant_id }) => participant_id);
  const sorted = (ids: Iterable<string | undefined>) => [...ids].sort();
  expect({
    participants: sorted(announced.participants),
    present: sorted(announced.present),
    admins: sorted(announced.admins),
    names: all.map(({ participant_id }) => names.get(participant_id) ?? null),
  }).toEqual({
    participants: idsWhere(() => true).sort(),
    present: idsWhere(({ online }) => online).sort(),
    admins: idsWhere(({ is_admin }) => is_admin).sort(),
    names: all.map(({ username }) => username),
  });
}

test('after any history, in any order of its records, schedules, presence and sockets match the table', async () => {
  await fc.assert(fc.asyncProperty(history, play), { numRuns: 60, interruptAfterTimeLimit: 60_000 });
}, 120_000);
