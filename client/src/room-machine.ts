/*
 * The state machine of a joined room: its phases, inputs and effects in one table. Pure: no I/O, no clock. room-life.ts runs it, and room.ts
 * performs the effects.
 */

export type Phase =
  /* The user has not been admitted: the call of `join` waits, for at most `joinMs`. */
  /** There is no socket. */
  | 'unjoined'
  /** The join has been sent to the service. */
  | 'first_joining'
  /** The service has accepted the join. The wanted history is being read. */
  | 'first_reading'
  /* The call of `join` has succeeded. */
  /** The history was read. The caller gets a moment to add listeners. */
  | 'admitted'
  /** Events are delivered as they arrive, and messages can be sent. */
  | 'live'
  /** A stored message was not delivered: history is read again. Only with `rooms.v1`. */
  | 'filling_gap'
  /** There is no socket. */
  | 'away'
  /** The join has been sent to the service again. */
  | 'joining'
  /** Joined again. What was missed is being read. */
  | 'catching_up'
  /** The room starts later. It is joined when it starts. */
  | 'booked'
  /** The room has ended, and its last messages are being read, which needs no socket. */
  | 'ending'
  /** The room no longer delivers or requests anything. */
  | 'closed';

export type Input =
  | 'socket_opened'
  | 'socket_lost'
  | 'join_accepted'
  /** What was missed was read. In `admitted`: the moment to add listeners is over. */
  | 'history_read'
  /** A stored message was not delivered in time. */
  | 'gap_found'
  /** The service has lost the join or events. Only with `rooms.v2`. */
  | 'join_lost'
  | 'room_booked'
  | 'room_started'
  | 'room_ended'
  /** The user has left or was removed, an error is permanent, `joinMs` is over, or the connection was closed. */
  | 'closed';

export type Effect =
  /** Holds messages and events back until `release`. */
  | 'hold'
  /** The same, and stops following the numbers of feeds, until the next join. */
  | 'suspend'
  /** Delivers what was read and what was held back. */
  | 'release'
  /** Follows the numbers of feeds from those in the reply to the join. */
  | 'follow'
  /** Processes the detached frames that arrived before the reply to their join was processed. */
  | 'take_detached'
  /** Emits `rejoined`, and `missed` if events were missed. */
  | 'emit_rejoined'
  /** Settles the promise of `join`, and stops its timer. */
  | 'resolve_join'
  | 'reject_join'
  /** Gives the socket back to the connection. */
  | 'detach'
  /** Ends sending, typing and iterators, and emits `closed`. */
  | 'finish'
  | Work;

/** Effects that take time. Each ends with an input, or with an error, at the latest when the phase ends. */
export type Work =
  /** Asks the service to join: `join_accepted`. */
  | 'join'
  /** Reads what is missing: `history_read`. */
  | 'read_history'
  /** Waits for one task: `history_read`. */
  | 'pause'
  /** Reads the room again and again until it has started: `room_started`. */
  | 'await_start'
  /** Reads the last messages, for at most `connectMs`: `closed`. */
  | 'read_last';

interface Row {
  /** What to do when the phase begins, in this order. */
  readonly enter: readonly Effect[];
  /** The phase that each input leads to, and an effect of this transition alone, which comes last. */
  readonly on: Readonly<Partial<Record<Input, Phase | readonly [Phase, Effect]>>>;
}

const BEFORE: Row['on'] = {
  socket_opened: 'first_joining',
  socket_lost: 'unjoined',
  closed: ['closed', 'reject_join'],
};
const AFTER: Row['on'] = {
  socket_opened: 'joining',
  socket_lost: 'away',
  room_ended: 'ending',
  closed: 'closed',
};
const JOINED: Row['on'] = { ...AFTER, history_read: 'live', join_lost: 'joining' };

const PHASES: Readonly<Record<Phase, Row>> = {
  unjoined: { enter: ['suspend'], on: BEFORE },
  first_joining: { enter: ['suspend', 'join'], on: { ...BEFORE, join_accepted: 'first_reading' } },
  first_reading: { enter: ['read_history'], on: { ...BEFORE, history_read: 'admitted' } },

  admitted: { enter: ['resolve_join', 'pause'], on: JOINED },
  live: {
    enter: ['release', 'follow', 'take_detached'],
    on: { ...AFTER, gap_found: 'filling_gap', join_lost: 'joining' },
  },
  filling_gap: { enter: ['hold', 'read_history'], on: JOINED },
  away: { enter: ['suspend'], on: AFTER },
  joining: { enter: ['suspend', 'join'], on: { ...AFTER, join_accepted: 'catching_up', room_booked: 'booked' } },
  catching_up: { enter: ['read_history'], on: { ...JOINED, history_read: ['live', 'emit_rejoined'] } },
  booked: { enter: ['suspend', 'await_start'], on: { ...AFTER, room_started: 'joining' } },
  ending: { enter: ['suspend', 'detach', 'read_last'], on: { closed: 'closed' } },
  closed: { enter: ['suspend', 'detach', 'finish'], on: {} },
};

/** Returns the phase that an input leads to and the effects to perform, in their order; undefined if the input changes nothing. */
export function step(
  phase: Phase,
  input: Input,
): { readonly phase: Phase; readonly effects: readonly Effect[] } | undefined {
  const to = PHASES[phase].on[input];
  if (!to) return undefined;
  const [next, ...last] = typeof to === 'string' ? [to] : to;
  return { phase: next, effects: [...PHASES[next].enter, ...last] };
}

/** Returns whether the call of `join` still waits. */
export const isPending = (phase: Phase): boolean => PHASES[phase].on.socket_lost === 'unjoined';

/** Returns whether the service has accepted a join on the current socket, so that messages can be sent. */
export const isJoined = (phase: Phase): boolean => 'history_read' in PHASES[phase].on || phase === 'live';
