import * as fc from 'fast-check';
import { vi } from 'vitest';
import type { EventData, JoinedRoom, Message, MyRoom, PackedEvent } from '../../client/src/contract.ts';
import { RoomsApiError, type RoomsErrorCode } from '../../client/src/errors.ts';
import { settingsOf } from '../../client/src/options.ts';
import type { RoomActor, RoomHost } from '../../client/src/room-host.ts';
import type { JoinOptions, RoomListeners } from '../../client/src/room-types.ts';
import type { RoomEvent, Socket } from '../../client/src/socket.ts';
import { messageDefaults, ownDefaults, roomDefaults } from '../support/defaults.ts';

/*
 * Runs a room without a connection. A list of moves determines what its socket, the service, the application and the clock do, so that
 * property tests can try any order.
 */

const ROOM = 'room';
const ME = 'alice';
const START = Date.parse('2026-01-01T00:00:00Z');

/** The events that the application listens to, except `closed`. */
const HEARD = [
  ...(['message', 'message_updated', 'message_deleted', 'peer_joined', 'room_ended', 'participant_removed'] as const),
  ...(['room_ending', 'read', 'typing', 'pending', 'missed', 'rejoined', 'waiting'] as const),
] satisfies readonly (keyof RoomListeners)[];

type Made = 'message' | 'own' | 'edit' | 'peer_joined' | 'room_ended' | 'removed' | 'room_ending' | 'typing' | 'read';

export type Move =
  | { readonly do: 'open'; readonly v2: boolean }
  | { readonly do: 'lose' | 'leave' | 'close' | 'send' | 'mark' | 'edit' }
  /** The service responds to the oldest request. */
  | { readonly do: 'answer'; readonly error?: RoomsErrorCode | 'bug' | undefined }
  /** `skip`: how many earlier events do not arrive. `isLost`: whether this event does not arrive. Its message is stored in any case. */
  | { readonly do: 'event'; readonly made: Made; readonly skip: number; readonly isLost: boolean }
  | {
      readonly do: 'detach';
      readonly ended: boolean;
      readonly named: boolean;
      readonly join: 'this' | 'other' | 'none';
    }
  | { readonly do: 'status'; readonly status: MyRoom['status'] }
  | { readonly do: 'ping'; readonly ahead: number | undefined }
  | { readonly do: 'wait'; readonly ms: number };

/** What the application does when it receives an event. */
export interface Reaction {
  readonly to: keyof RoomListeners;
  readonly do: 'leave' | 'send' | 'close';
  /** How often it receives the event before it acts. */
  readonly after: number;
}

const CODES = [
  ...(['not_a_participant', 'room_not_started', 'room_ended', 'invalid_request', 'read_only'] as const),
  ...(['try_again', 'timeout', 'network_error', 'bug'] as const),
];
const MADE: readonly Made[] = [
  ...(['message', 'message', 'own', 'edit', 'peer_joined', 'room_ended', 'removed', 'room_ending'] as const),
  ...(['typing', 'read'] as const),
];

const answer = fc.constant<Move>({ do: 'answer' });
const open = fc.record<Move & { do: 'open' }>({ do: fc.constant('open'), v2: fc.boolean() });
const event = fc.record<Move & { do: 'event' }>({
  do: fc.constant('event'),
  made: fc.constantFrom(...MADE),
  skip: fc.constantFrom(0, 0, 0, 1),
  isLost: fc.boolean(),
});

/** Any move. The moves that a room needs to become live are more frequent. */
const move: fc.Arbitrary<Move> = fc.oneof(
  { weight: 20, arbitrary: answer },
  { weight: 5, arbitrary: open },
  { weight: 16, arbitrary: event },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('answer' as const), error: fc.constantFrom(...CODES) }) },
  {
    weight: 7,
    arbitrary: fc.record({ do: fc.constantFrom('lose' as const, 'send' as const, 'mark' as const, 'edit' as const) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('leave' as const, 'close' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('detach' as const),
      ended: fc.boolean(),
      named: fc.boolean(),
      join: fc.constantFrom('this' as const, 'other' as const, 'none' as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('status' as const),
      status: fc.constantFrom('booked' as const, 'started' as const, 'ended' as const),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('ping' as const), ahead: fc.constantFrom(undefined, -1, 0, 1) }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      ms: fc.constantFrom(0, 600, 2_500, 6_000, 31_000, 301_000),
    }),
  },
);

/** Moves that join the room successfully, or no moves. */
const start: fc.Arbitrary<readonly Move[]> = fc.oneof(
  fc.constant<readonly Move[]>([]),
  open.map((opened): readonly Move[] => [opened, ...Array.from({ length: 4 }, (): Move => ({ do: 'answer' }))]),
);

export const plays = fc.record({
  moves: fc.tuple(start, fc.array(move, { maxLength: 50, size: 'max' })).map(([first, more]) => [...first, ...more]),
  options: fc.constantFrom<JoinOptions>({}, { history: 2 }, { known: [] }, { lastChange: 0 }),
  reaction: fc.option(
    fc.record<Reaction>({
      to: fc.constantFrom<keyof RoomListeners>(
        'message',
        'peer_joined',
        'typing',
        'rejoined',
        'missed',
        'waiting',
        'closed',
      ),
      do: fc.constantFrom('leave', 'send', 'close'),
      after: fc.constantFrom(0, 0, 1),
    }),
    { nil: undefined, freq: 3 },
  ),
});

interface Request {
  readonly what: string;
  readonly answer: () => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly socket?: Socket | undefined;
}

const idOf = (n: number): string => {
  const digits = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
  let [time, text] = [START + n * 1_000, ''];
  for (let at = 0; at < 10; at++) {
    text = digits[time % 32] + text;
    time = Math.floor(time / 32);
  }
  return `${text}${'0'.repeat(16)}`;
};

/** The actions of a room, in order. */
export interface Play {
  readonly trace: readonly string[];
  /** How often the promise of `join` settled. */
  readonly settled: number;
  readonly isClosed: boolean;
  /** Number of timers that run after the last move and after the responses to all requests. */
  readonly timers: number;
}

/** Performs the moves one at a time with fake timers. Closes the room at the end if `thenClose` is set. */
export async function play(
  roomActor: (id: string, options: JoinOptions, host: RoomHost) => RoomActor,
  { moves, options, reaction }: { moves: readonly Move[]; options: JoinOptions; reaction: Reaction | undefined },
  thenClose = false,
): Promise<Play> {
  vi.useFakeTimers({ now: START, toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] });
  const random = vi.spyOn(Math, 'random').mockReturnValue(0.5);
  const trace: string[] = [];
  const requests: Request[] = [];
  const stored: Message[] = [];
  let status: MyRoom['status'] = 'started';
  let seq = { messages: 10, changes: 20 };
  let change = 0;
  let made = 0;
  let joins = 0;
  let socket: (Socket & { readonly v2: boolean }) | undefined;
  let settled = 0;

  const room = (): MyRoom => ({
    ...roomDefaults,
    ...ownDefaults,
    room_id: ROOM,
    name: 'Room',
    start_time: new Date(START).toISOString(),
    status,
    end_warnings_seconds: [],
    created_by: ME,
    created_at: '',
    updated_at: '',
  });
  const joinedRoom = (v2: boolean): JoinedRoom => ({
    ...room(),
    last_change: change,
    ...(v2 && { seq, joined_at: `join ${++joins}` }),
  });
  const messageOf = (sender_id: string, client_message_id: string): Message => ({
    ...messageDefaults,
    message_id: idOf(++made),
    room_id: ROOM,
    sender_id,
    client_message_id,
    text: 'x',
    sent_at: '',
  });
  const store = (message: Message): Message => {
    stored.push(message);
    return message;
  };
  /** Edits the newest message. */
  function edit(): Message {
    const last = stored.pop() ?? messageOf('bob', 'edited');
    return store({ ...last, change: ++change, edited_at: 'now' });
  }

  function ask<T>(what: string, value: () => T, on?: Socket): Promise<T> {
    trace.push(`asks: ${what}`);
    return new Promise<T>((resolve, reject) => {
      // The response belongs to the same request, so it has the right type.
      requests.push({ what, answer: value, resolve: resolve as (value: unknown) => void, reject, socket: on });
    });
  }
  function socketOf(v2: boolean): Socket & { readonly v2: boolean } {
    const own: Socket & { readonly v2: boolean } = {
      v2,
      speaksV2: v2,
      request: (action, frame) =>
        ask(
          `${action} ${JSON.stringify(frame)}`,
          () => {
            if (action === 'join') return joinedRoom(v2);
            if (action !== 'message') return {};
            const { client_message_id } = frame as { readonly client_message_id: string };
            return (
              stored.find((message) => message.client_message_id === client_message_id) ??
              store(messageOf(ME, client_message_id))
            );
          },
          own,
        ) as never,
      check: () => trace.push('checks the socket'),
      close: () => {},
      closed: new Promise(() => {}),
    };
    return own;
  }

  const host: RoomHost = {
    settings: settingsOf({ url: 'http://localhost', token: () => '' }),
    readPage: () => ask('history', () => ({ items: stored.toReversed(), next_cursor: null })),
    readChangesPage: (query) =>
      ask(`changes ${JSON.stringify(query)}`, () => ({
        items: stored.filter((message) => (message.change ?? 0) > (query.after ?? 0)),
        next_cursor: null,
      })),
    edit: () => ask('edit', edit),
    delete: () => ask('delete', edit),
    markRead: (read_to) => ask(`mark ${read_to}`, () => ({ participant_id: ME, read_to })),
    readRoom: () => ask('room', room),
    upload: () => ask('upload', () => ({ file_id: 'file' })),
    userId: () => ME,
    socket: (signal) => {
      signal.throwIfAborted();
      return ask('socket', () => socketOf(false));
    },
    onDetached: (isClosing) => trace.push(`is detached ${isClosing}`),
    onLeaving: (done) => {
      trace.push('leaves');
      void done.then(() => trace.push('has left'));
    },
  };

  const actor = roomActor(ROOM, options, host);
  const joined = actor.joined();
  const live = joined.then(
    (result) => {
      settled++;
      trace.push('joined');
      return result;
    },
    (error: unknown) => {
      settled++;
      trace.push(`not joined: ${String(error)}`);
      return undefined;
    },
  );
  let sends = 0;
  const act = async (what: 'leave' | 'send' | 'close' | 'mark' | 'edit'): Promise<void> => {
    if (what === 'close') return actor.close({ reason: 'connection_closed' });
    const own = await Promise.race([live, Promise.resolve(undefined)]);
    if (!own) return;
    const report = (outcome: Promise<unknown>) =>
      void outcome.then(
        (value) => trace.push(`${what}: ${JSON.stringify(value)}`),
        (error: unknown) => trace.push(`${what}: ${String(error)}`),
      );
    if (what === 'leave') report(own.leave());
    else if (what === 'send') report(own.send({ text: 'x', client_message_id: `own-${++sends}` }));
    else if (what === 'mark') report(own.markRead(idOf(made)));
    else report(own.edit('id', 'text'));
  };
  void live.then((own) => {
    if (!own) return;
    let reactions = 0;
    for (const name of [...HEARD, 'closed'] as const)
      own.on(name, (...args: readonly unknown[]) => {
        trace.push(`${name} ${JSON.stringify(args[0])}`);
        if (reaction?.to !== name || reactions++ !== reaction.after) return;
        if (reaction.do === 'close') actor.close({ reason: 'connection_closed' });
        else if (reaction.do === 'leave') void own.leave();
        else void own.send({ text: 'x', client_message_id: `own-${++sends}` }).catch(() => {});
      });
  });

  function dataOf(kind: Made): PackedEvent {
    const peer = { participant_id: 'bob', username: null };
    switch (kind) {
      case 'message':
        return { type: 'message', data: store(messageOf('bob', `bob-${made}`)) };
      case 'own':
        return {
          type: 'message',
          data: stored.findLast(({ sender_id }) => sender_id === ME) ?? store(messageOf(ME, 'other')),
        };
      case 'edit':
        return { type: 'message_updated', data: edit() };
      case 'peer_joined':
        return { type: 'peer_joined', data: peer };
      case 'room_ended':
        return { type: 'room_ended', data: { ...room(), status: 'ended' } };
      case 'removed':
        return { type: 'participant_removed', data: { participant_id: ME, reason: 'removed' } };
      case 'room_ending':
        return {
          type: 'room_ending',
          data: { ...room(), ends_at: 'soon', seconds_left: 60 } as EventData['room_ending'],
        };
      case 'typing':
        return { type: 'typing', data: { ...peer, typing: true } };
      case 'read':
        return { type: 'read', data: { participant_id: ME, read_to: idOf(made) } };
    }
  }
  const wrap = (packed: PackedEvent): RoomEvent => ({ ...packed, room_id: ROOM, sent_at: 'then' }) as RoomEvent;

  function happen(next: Move): void | Promise<void> {
    switch (next.do) {
      case 'open':
        socket = socketOf(next.v2);
        return actor.enter(socket);
      case 'lose': {
        const lost = socket;
        socket = undefined;
        for (const request of requests.splice(0))
          if (lost && request.socket === lost) request.reject(new RoomsApiError('connection_lost', 'lost'));
          else requests.push(request);
        return actor.suspend();
      }
      case 'answer': {
        const request = requests.shift();
        if (!request) return;
        if (next.error === 'bug') return request.reject(new TypeError('bug'));
        if (next.error) return request.reject(new RoomsApiError(next.error, next.error));
        return request.resolve(request.answer());
      }
      case 'event': {
        const packed = dataOf(next.made);
        if (!socket?.v2 || next.made === 'typing' || next.made === 'read')
          return next.isLost ? undefined : actor.onEvent(wrap(packed));
        const feed = packed.type.startsWith('message') ? 'messages' : 'changes';
        const number = seq[feed] + 1 + next.skip;
        seq = { ...seq, [feed]: number };
        return next.isLost
          ? undefined
          : actor.onEvents({ type: 'events', room_id: ROOM, feed, seq: number, sent_at: 'then', events: [packed] });
      }
      case 'detach': {
        const packed = next.named ? dataOf(next.ended ? 'room_ended' : 'removed') : undefined;
        return actor.onDetached({
          type: 'detached',
          room_id: ROOM,
          reason: next.ended ? 'room_ended' : 'removed',
          ...(next.join !== 'none' && { joined_at: next.join === 'this' ? `join ${joins}` : 'other' }),
          sent_at: 'then',
          events: packed ? [packed] : [],
        });
      }
      case 'status':
        status = next.status;
        return;
      case 'ping': {
        const take = actor.ask();
        trace.push(`pings: ${Boolean(take)}`);
        const { ahead } = next;
        return take?.(ahead === undefined ? undefined : { ...seq, messages: seq.messages + ahead });
      }
      case 'wait':
        return vi.advanceTimersByTimeAsync(next.ms).then(() => {});
      default:
        return act(next.do);
    }
  }

  for (const next of [...moves, ...(thenClose ? [{ do: 'close' } as const] : [])]) {
    trace.push(`> ${JSON.stringify(next)}`);
    await happen(next);
    await vi.advanceTimersByTimeAsync(0);
    const own = await Promise.race([live, Promise.resolve(undefined)]);
    trace.push(`. ${actor.isNumbered} ${JSON.stringify([own?.closed, own?.lastChange, own?.info, own?.pending])}`);
  }
  for (let left = requests.shift(); left; left = requests.shift()) {
    left.reject(new RoomsApiError('read_only', 'over'));
    await vi.advanceTimersByTimeAsync(0);
  }
  const own = await Promise.race([live, Promise.resolve(undefined)]);
  trace.push(`at last ${JSON.stringify([own?.closed, own?.info, own?.pending])}`);
  const timers = vi.getTimerCount();
  vi.useRealTimers();
  random.mockRestore();
  return { trace, settled, isClosed: trace.some((line) => line.startsWith('closed ')), timers };
}
