/*
 * The life of a joined room as a state machine. Pure: room.ts performs the work of each phase.
 */

export type Phase =
  /** There is no socket. */
  | 'away'
  /** The service is being asked to join. */
  | 'joining'
  /** Joined. The history is being read, and events are held back in the meantime. */
  | 'catching_up'
  /** Events are delivered as they come, and messages are sent. */
  | 'live'
  /** The room was booked for later: it is joined when it starts. */
  | 'booked'
  /** The room has ended: its last messages are being read. No socket is needed. */
  | 'ending'
  | 'closed';

export type Input =
  | 'socket_opened'
  | 'socket_lost'
  | 'join_accepted'
  | 'caught_up'
  /** A message that is known to be stored was not delivered. */
  | 'gap_found'
  /** The service no longer has the join, or has lost events. Only with `rooms.v2`. */
  | 'join_lost'
  | 'room_booked'
  | 'room_started'
  | 'room_ended'
  | 'closed';

const OPEN: Readonly<Partial<Record<Input, Phase>>> = {
  socket_opened: 'joining',
  socket_lost: 'away',
  room_ended: 'ending',
  closed: 'closed',
};

const TRANSITIONS: Readonly<Record<Phase, Readonly<Partial<Record<Input, Phase>>>>> = {
  away: OPEN,
  joining: { ...OPEN, join_accepted: 'catching_up', room_booked: 'booked' },
  catching_up: { ...OPEN, caught_up: 'live', join_lost: 'joining' },
  live: { ...OPEN, gap_found: 'catching_up', join_lost: 'joining' },
  booked: { ...OPEN, room_started: 'joining' },
  ending: { closed: 'closed' },
  closed: {},
};

/** Returns the phase that an input leads to; undefined if it changes nothing. */
export const nextPhase = (phase: Phase, input: Input): Phase | undefined => TRANSITIONS[phase][input];

/** Returns whether messages can be sent. */
export const isJoined = (phase: Phase): boolean => phase === 'catching_up' || phase === 'live';
