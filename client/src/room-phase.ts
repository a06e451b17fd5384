/* The state machine of a joined room. Pure: room.ts performs the work of each phase. */

export type Phase =
  /** There is no socket. */
  | 'away'
  /** The join has been sent to the service. */
  | 'joining'
  /** The room is joined, and the history is being read. Events are held back until then. */
  | 'catching_up'
  /** Events are delivered as they arrive, and messages can be sent. */
  | 'live'
  /** The room starts later. It is joined when it starts. */
  | 'booked'
  /** The room has ended, and its last messages are being read, which needs no socket. */
  | 'ending'
  | 'closed';

export type Input =
  | 'socket_opened'
  | 'socket_lost'
  | 'join_accepted'
  | 'caught_up'
  /** A stored message was not delivered in time. */
  | 'gap_found'
  /** The service has lost the join or events. Only with `rooms.v2`. */
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

/** Returns the phase after an input. Undefined if it does not change. */
export const nextPhase = (phase: Phase, input: Input): Phase | undefined => TRANSITIONS[phase][input];

/** Returns whether messages can be sent. */
export const isJoined = (phase: Phase): boolean => phase === 'catching_up' || phase === 'live';
