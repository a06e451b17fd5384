import type { DetachedFrame } from './contract.ts';
import { codeOf, RoomsApiError } from './errors.ts';
import { insistence } from './insist.ts';
import { liveRoom } from './live-room.ts';
import { closedError } from './room-errors.ts';
import { unpack } from './room-feeds.ts';
import type { RoomActor, RoomHost } from './room-host.ts';
import { roomInbox } from './room-inbox.ts';
import { type Perform, roomLife } from './room-life.ts';
import { type Effect, isJoined, isPending } from './room-machine.ts';
import { roomOutlet } from './room-outlet.ts';
import { roomReader } from './room-reader.ts';
import type { JoinOptions, LiveRoom, RoomClosed } from './room-types.ts';
import { NOTHING, type RoomFacts, requestLeave, roomWork } from './room-work.ts';
import type { RoomEvent, Socket } from './socket.ts';
import { abortable, deferred, shared, timeoutError } from './timing.ts';

/*
 * A joined room. This file reports inputs to the state machine (room-machine.ts), and performs its effects. The effects that take time are in
 * room-work.ts.
 */

/** If own messages stay undelivered for this many times `lagMs`, history is read, even if no number is missing. */
const LATE_LAGS = 6;

export function roomActor(room_id: string, options: JoinOptions, host: RoomHost): RoomActor {
  if (options.known && options.history) throw new TypeError('Give history or known, not both');
  const { settings, userId } = host;
  const facts: RoomFacts = { lostAt: 0, read: NOTHING, events: [] };
  /** Why the room is closed. */
  let closed: RoomClosed | undefined;
  /** Whether the service is about to close the socket. */
  let isClosing = false;
  /** Frames that end a join and arrived before the reply to that join was processed. */
  let early: readonly DetachedFrame[] = [];
  /** The last error of the first join. */
  let joinError: RoomsApiError | undefined;
  /** The error with which the first join fails. */
  let failure: unknown;

  const life = roomLife(facts, () => perform, onFailure);
  const { go } = life;
  const isClosed = () => life.phase === 'closed';
  const isFirst = () => isPending(life.phase);
  /** Whether the room was joined with `rooms.v2`; undefined before that is known. */
  const isNumbered = () => facts.reply && facts.reply.seq !== undefined;

  const joined = deferred<LiveRoom>();
  const joinTimer = setTimeout(() => {
    failure = joinError ?? timeoutError('Joining the room', settings.joinMs, 'joinMs');
    void leave();
  }, settings.joinMs);

  /* The parts of the room */

  const outlet = roomOutlet(userId, isClosed, (typing) => {
    // A failure is ignored, because a late start is useless, and older services do not support typing.
    if (isJoined(life.phase)) facts.socket?.request('typing', { room_id, typing }).catch(() => {});
  });
  const insist = insistence(settings, isFirst, (error) => {
    joinError = error;
  });
  const inbox = roomInbox(settings.overlapMs, {
    emit: deliver,
    deliver: onEvent,
    readMessages: (signal) => reader.all(signal),
    readChanges: (signal) => reader.changes(signal),
    readRoom: (signal) => insist(signal, () => host.readRoom(signal)),
    onRoom(room) {
      if (isClosed()) return;
      outlet.info = room;
      if (room.status === 'ended') end();
      else emitRejoined(true);
    },
    onFailure,
  });
  const reader = roomReader(host, options, inbox, insist);
  const parts = { room_id, host, inbox, outlet };
  const work = roomWork({ ...parts, facts, reader, insist, lastChange: options.lastChange, go, closeEnded });
  const { room, messages } = liveRoom({ ...parts, closed: () => closed, joinedSocket, leave, onLag });

  /* Inputs and effects */

  const perform: Readonly<Record<Effect, Perform>> = {
    ...work,
    hold: inbox.hold,
    suspend: inbox.suspend,
    release() {
      const { read } = facts;
      facts.read = NOTHING;
      reader.isStarted = true;
      inbox.release(read);
    },
    follow() {
      if (facts.reply?.seq) inbox.numbered.start(facts.reply.seq);
    },
    take_detached() {
      const frames = early;
      early = [];
      frames.forEach(onDetached);
    },
    emit_rejoined: () => emitRejoined(facts.hasMissed),
    resolve_join() {
      clearTimeout(joinTimer);
      joined.resolve(room);
    },
    reject_join() {
      clearTimeout(joinTimer);
      joined.reject(failure ?? (closed && closedError(closed)));
    },
    detach() {
      facts.socket = undefined;
      host.onDetached(isClosing);
    },
    finish() {
      messages.close();
      if (closed) outlet.close(closed);
    },
  };

  function close(why: RoomClosed, closesSocket = false): void {
    if (isClosed()) return;
    closed = why;
    isClosing = closesSocket;
    go('closed');
  }

  function closeEnded(closesSocket?: boolean): void {
    const { error } = facts;
    close({ reason: 'room_ended', ...(error && { error }) }, closesSocket);
  }

  /** Reports the end of the room. `events` is empty if the end was not detected by an event. */
  function end(events: readonly RoomEvent[] = [], error?: RoomsApiError): boolean {
    isClosing = events.length > 0 && !isNumbered();
    return go('room_ended', { events, error });
  }

  /** Processes a permanent error. */
  function onFailure(cause: unknown): void {
    const code = codeOf(cause);
    const error = cause instanceof RoomsApiError ? cause : undefined;
    if (code === 'room_not_started' && go('room_booked')) return;
    if (code === 'room_ended' && end([], error)) return;
    failure = cause;
    const reason = code === 'not_a_participant' && !isFirst() ? 'removed' : 'refused';
    close({ reason, ...(error && { error }) });
  }

  async function leave(): Promise<void> {
    const { socket, joining } = facts;
    close({ reason: 'left' });
    if (!socket) return;
    const done = Promise.race([requestLeave(room_id, socket, joining), socket.closed]);
    host.onLeaving(done);
    await done;
  }

  /* Events */

  function onEvent(event: RoomEvent): void {
    if (isClosed()) return;
    if (event.type === 'room_ended' && !isFirst()) end([event]);
    else if (event.type === 'typing' || event.type === 'read') deliver(event);
    else inbox.take(event);
  }

  function deliver(event: RoomEvent): void {
    if (isClosed()) return;
    outlet.deliver(event);
    if (event.type === 'message' && [undefined, event.data.sender_id].includes(userId()))
      messages.delivered(event.data);
    // With rooms.v2, the socket stays open.
    if (event.type === 'room_ended') closeEnded(!isNumbered());
    if (event.type === 'participant_removed' && event.data.participant_id === userId())
      // Older services do not send the reason.
      close({ reason: event.data.reason ?? 'removed' }, !isNumbered());
  }

  /** Processes the last frame about the room, after which the room is detached from the socket. */
  function onDetached(frame: DetachedFrame): void {
    // The frame can arrive together with the reply to the join, which is processed a moment later.
    if (isFirst() || life.phase === 'joining') {
      early = [...early, frame];
      return;
    }
    // An outdated frame: the user was added and has joined again since.
    const { joined_at = frame.joined_at } = facts.reply ?? {};
    if (frame.joined_at && frame.joined_at !== joined_at) return;
    const events = unpack(frame);
    if (frame.reason === 'room_ended') return void end(events);
    // Without an event, the frame contains no reason. The reply to another join does.
    if (events.length === 0 && go('join_lost')) return;
    events.forEach(deliver);
    close({ reason: 'removed' });
  }

  /** Emits `rejoined`, and `missed` if the application must read what it shows again. */
  function emitRejoined(hasMissed?: boolean): void {
    const { info, listeners } = outlet;
    if (!info) return;
    if (hasMissed) listeners.emit('missed', info);
    if (!isClosed()) listeners.emit('rejoined', info);
  }

  /* Sending */

  async function joinedSocket(signal: AbortSignal): Promise<Socket> {
    for (;;) {
      if (closed) throw closedError(closed);
      if (life.phase === 'ending') throw closedError({ reason: 'room_ended' });
      if (facts.socket && isJoined(life.phase)) return facts.socket;
      await abortable(life.changed(), signal);
    }
  }

  /** Checks for missing messages: an own message was stored `lags` times `lagMs` ago, and was not delivered. */
  function onLag(lags: number): void {
    if (life.phase !== 'live') return;
    if (!isNumbered()) return void go('gap_found');
    // The reply shows whether a number is missing.
    facts.socket?.check();
    // No number need be missing, because numbers can be late, or the service may have skipped a message.
    if (lags % LATE_LAGS === 0) readLate(life.signal).catch(() => {});
  }

  async function readLate(signal: AbortSignal): Promise<void> {
    const read = await reader.all(signal);
    if (!signal.aborted) inbox.release(read);
  }

  return {
    joined: shared(joined.promise, () => void leave()),
    enter(socket) {
      go('socket_opened', { socket });
    },
    suspend() {
      go('socket_lost', { socket: undefined, lostAt: Date.now() });
    },
    get isNumbered() {
      return isNumbered();
    },
    onEvent,
    onEvents(frame) {
      if (!isClosed()) inbox.numbered.take(frame);
    },
    onDetached,
    ask() {
      if (!isNumbered() || life.phase !== 'live') return undefined;
      const { joining } = facts;
      const take = inbox.numbered.ask();
      return (seq) => {
        if (facts.joining === joining && life.phase === 'live' && !take(seq)) go('join_lost');
      };
    },
    close,
  };
}
