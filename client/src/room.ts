import { changeLog } from './change-log.ts';
import {
  type DetachedFrame,
  EVENT_NAMES,
  type EventData,
  MAX_PAGE_SIZE,
  type Message,
  type MyRoom,
  type ReadMark,
  type RoomSeq,
} from './contract.ts';
import { codeOf, isRetryable, RoomsApiError, retryAfterOf } from './errors.ts';
import { emitter, type Feed, feed } from './events.ts';
import { followFeed } from './follow.ts';
import { type ReadChangesPage, type ReadPage, readChanges, readFirst, readMissed } from './history.ts';
import { messageLog } from './message-log.ts';
import type { Settings } from './options.ts';
import { LONGEST_UNSENT } from './ping-schedule.ts';
import { closedError, isFinal } from './room-errors.ts';
import { type MissedMessages, roomFeeds, unpack } from './room-feeds.ts';
import type { Pages, RoomActor, RoomHost } from './room-host.ts';
import { withEvent, withReadMark } from './room-info.ts';
import { type Input, isJoined, nextPhase, type Phase } from './room-phase.ts';
import type { JoinOptions, LiveRoom, RoomClosed, RoomListeners } from './room-types.ts';
import { sender } from './sender.ts';
import type { RoomEvent, Socket } from './socket.ts';
import { abortable, backoff, shared, sleep, timeoutError } from './timing.ts';
import { typingIn } from './typing.ts';

const NOTHING: MissedMessages = { history: [], changed: [] };

/** The interval at which the start time of a booked room is checked, in milliseconds. */
const BOOKED_POLL_MS = 60_000;

const messageEvent = (data: Message): RoomEvent<'message'> => ({
  type: 'message',
  room_id: data.room_id,
  data,
  sent_at: data.sent_at,
});

const changeEvent = (data: Message, sent_at?: string): RoomEvent<'message_updated' | 'message_deleted'> => ({
  type: data.deleted_at ? 'message_deleted' : 'message_updated',
  room_id: data.room_id,
  data,
  sent_at: sent_at ?? data.deleted_at ?? data.edited_at ?? data.sent_at,
});

/** The longest ping intervals that services accept, in seconds: older ones, and those with `rooms.v2`. */
const MAX_PING_INTERVAL_SECONDS = [90, 240] as const;

/**
 * In milliseconds. After a longer outage, equal numbers do not prove that nothing was missed, because a restored table
 * may have reached the same number again.
 */
const LONG_OUTAGE_MS = 300_000;

/** If own messages stay undelivered for this many times `lagMs`, history is read, even if no number is missing. */
const LATE_LAGS = 6;

/**
 * Announces the ping interval, so that the service notices when this client is gone. With `rooms.v1`, it is half the
 * actual rate. Intervals above the maximum are not announced.
 */
function promisedPings({ pingMs }: Settings, speaksV2: boolean): { ping_interval_seconds?: number } {
  const ping_interval_seconds = Math.ceil(((speaksV2 ? LONGEST_UNSENT : 2) * pingMs) / 1_000);
  return ping_interval_seconds <= MAX_PING_INTERVAL_SECONDS[speaksV2 ? 1 : 0] ? { ping_interval_seconds } : {};
}

export function roomActor(room_id: string, { history = 0, known, lastChange }: JoinOptions, host: RoomHost): RoomActor {
  if (known && history) throw new TypeError('Give history or known, not both');
  const { settings } = host;
  const log = messageLog<Message>(settings.overlapMs);
  const changes = changeLog<Message>(log.has);
  const listeners = emitter<RoomListeners>([...EVENT_NAMES, 'pending', 'missed', 'rejoined', 'waiting', 'closed']);
  const feeds = new Set<Feed<RoomEvent>>();
  let phase: Phase = 'away';
  /** Aborts when the phase ends. */
  let scope = new AbortController();
  let socket: Socket | undefined;
  let info: MyRoom | undefined;
  /** The last join request. */
  let entering: Promise<unknown> | undefined;
  /** Other events that arrived while messages were held back. */
  let held: RoomEvent[] = [];
  /** Calls of `send` that wait until the room is joined. */
  const waiting: (() => void)[] = [];
  /** Whether the unwanted messages from before the join are known. */
  let isSkipped = false;
  /** Whether the history was read once. */
  let isStarted = false;
  /** Whether the service has accepted a join. */
  let isAdmitted = false;
  let isRejoining = false;
  /** The numbers in the reply to the last join. Undefined with `rooms.v1`. */
  let joinedSeq: RoomSeq | undefined;
  /**
   * The number of the last edit or deletion in the reply to the last join. Undefined if the service does not support
   * edits.
   */
  let joinedChange: number | undefined;
  /** Identifies the last join, to match the frame that ends it. */
  let joinedAt: string | undefined;
  /** A frame that ends a join and arrived before the reply to that join was processed. */
  let early: readonly DetachedFrame[] = [];
  let isNumbered: boolean | undefined;
  /** When the socket was last lost, by the clock of this machine. */
  let lostAt = 0;
  let closed: RoomClosed | undefined;
  /** The error for the end of the room: how it was detected, or why the last messages may be missing. */
  let endError: RoomsApiError | undefined;
  /** The last error of the first join. */
  let joinError: RoomsApiError | undefined;
  /** The newest delivered message of others. */
  let newestOther = '';
  /** Delivered warnings, because they can be repeated. */
  const warned = new Set<string>();

  let resolveJoined: (room: LiveRoom) => void = () => {};
  let rejectJoined: (error: unknown) => void = () => {};
  const joined = new Promise<LiveRoom>((resolve, reject) => {
    resolveJoined = resolve;
    rejectJoined = reject;
  });
  const joinTimer = setTimeout(() => {
    rejectJoined(joinError ?? timeoutError('Joining the room', settings.joinMs, 'joinMs'));
    void leave();
  }, settings.joinMs);
  const stopJoinTimer = () => clearTimeout(joinTimer);
  joined.then(stopJoinTimer, stopJoinTimer);

  /* Phases */

  /** Processes an input. Returns false if it changes nothing. */
  function go(input: Input): boolean {
    const next = nextPhase(phase, input);
    if (!next) return false;
    scope.abort();
    scope = new AbortController();
    phase = next;
    if (next === 'away' || next === 'joining') log.hold();
    if (!isJoined(next)) {
      numbered.lost();
      changeFeed.lost();
    }
    for (const resume of waiting.splice(0)) resume();
    if (next === 'joining' || next === 'catching_up' || next === 'booked') run(next, scope.signal);
    return true;
  }

  function run(next: 'joining' | 'catching_up' | 'booked', signal: AbortSignal): void {
    const work = { joining: join, catching_up: catchUp, booked: awaitStart }[next];
    work(signal).catch((error: unknown) => {
      if (!signal.aborted) onRefused(error);
    });
  }

  function detach(isClosing: boolean): void {
    socket = undefined;
    host.onDetached(isClosing);
  }

  function close(why: RoomClosed, isClosing = false): void {
    if (closed) return;
    closed = why;
    held = [];
    detach(isClosing);
    go('closed');
    rejectJoined(closedError(why));
    messages.close();
    typing.close();
    listeners.emit('closed', why);
    for (const { end } of feeds) end();
    feeds.clear();
  }

  /* Delivery */

  function deliver(event: RoomEvent): void {
    if (closed) return;
    const userId = host.userId();
    if (info) info = withEvent(info, event, userId);
    if (event.type === 'peer_left') typing.stopped(event.data.participant_id);
    if (event.type === 'message') {
      const { sender_id, message_id } = event.data;
      typing.stopped(sender_id);
      if (sender_id !== userId && message_id > newestOther) newestOther = message_id;
    }
    // A listener of `typing` has closed the room.
    if (closed) return;
    // The cast is safe: type and data belong together, which the compiler cannot infer from the union.
    if (event.type !== 'typing')
      listeners.emit(event.type, ...([event.data, event] as unknown as RoomListeners[typeof event.type]));
    for (const { push } of feeds) push(event);
    if (event.type === 'message' && [undefined, event.data.sender_id].includes(userId)) messages.delivered(event.data);
    // With rooms.v2, the socket stays open.
    if (event.type === 'room_ended') closeEnded(!isNumbered);
    if (event.type === 'participant_removed' && event.data.participant_id === userId)
      // Older services do not send the reason.
      close({ reason: event.data.reason ?? 'removed' }, !isNumbered);
  }

  const deliverMessage = (message: Message) => deliver(messageEvent(changes.admit(message)));

  /** Delivers a change in its order. */
  function deliverChange(message: Message, sent_at?: string): void {
    if (changes.take(message)) deliver(changeEvent(message, sent_at));
  }

  /** Delivers messages that were read and held messages in order, then edits and deletions, then other events. */
  function release(read: MissedMessages, streamed: readonly Message[] = []): void {
    const events = held;
    held = [];
    for (const message of log.catchUp(read.history, streamed)) deliverMessage(message);
    for (const message of read.changed) deliverChange(message);
    if (joinedChange !== undefined)
      for (const { data, sent_at } of changeFeed.start(Math.max(joinedChange, changes.position)))
        deliverChange(data, sent_at);
    for (const event of events) deliver(event);
  }

  function onEvent(event: RoomEvent): void {
    if (closed) return;
    if (event.type === 'typing') {
      if (event.data.participant_id !== host.userId()) typing.heard(event.data);
      for (const { push } of feeds) push(event);
    } else if (event.type === 'message') {
      for (const message of log.receive(event.data)) deliverMessage(message);
    } else if (event.type === 'message_updated' || event.type === 'message_deleted') onChange(event);
    else if (event.type === 'read') onRead(event.data.read_to, event);
    else if (event.type === 'room_ending' && isWarned(event.data)) return;
    else if (event.type === 'room_ended' && isAdmitted) {
      if (go('room_ended')) void readLastMessages([event], undefined, scope.signal);
    } else if (log.holding) held.push(event);
    else deliver(event);
  }

  /** Processes the last frame about the room, after which the room is detached from the socket. */
  function onDetached(frame: DetachedFrame): void {
    if (closed) return;
    // The frame can arrive together with the reply to the join, which is processed a moment later.
    if (!isAdmitted || phase === 'joining') {
      early = [...early, frame];
      return;
    }
    // An outdated frame: the user was added and has joined again since.
    if (frame.joined_at && joinedAt && frame.joined_at !== joinedAt) return;
    const events = unpack(frame);
    if (frame.reason !== 'room_ended') {
      // Without an event, the frame contains no reason. The reply to another join does.
      if (events.length === 0 && go('join_lost')) return;
      for (const event of events) deliver(event);
      close({ reason: 'removed' });
    } else if (go('room_ended')) void readLastMessages(events, undefined, scope.signal);
  }

  /** Events other than messages were missed, so the application must read what it shows again. */
  function onMissed(room: MyRoom): void {
    listeners.emit('missed', room);
    // A listener of `missed` can have closed the room.
    if (!closed) listeners.emit('rejoined', room);
  }

  const numbered = roomFeeds({
    deliver: onEvent,
    readMessages: (signal) => readMessages(insistent(signal)),
    release,
    readRoom: (signal) => insist(signal, () => host.readRoom(signal)),
    onRoom(room) {
      if (closed) return;
      info = room;
      if (room.status !== 'ended') onMissed(room);
      else if (go('room_ended')) void readLastMessages([], undefined, scope.signal);
    },
    onFailure: onRefused,
  });

  const readHistory = (readPage: ReadPage): Promise<readonly Message[]> =>
    isStarted || isSkipped
      ? readMissed(readPage, MAX_PAGE_SIZE, log)
      : readFirst(readPage, MAX_PAGE_SIZE, log, { history, known, overlapMs: settings.overlapMs });

  /** Reads both history and changes, because either can have been missed. */
  async function readMessages({ readPage, readChangesPage }: Pages): Promise<MissedMessages> {
    const [history, changed] = await Promise.all([readHistory(readPage), readChanged(readChangesPage)]);
    return { history, changed };
  }

  /** Reads the edits and deletions after the last one that was delivered. */
  const readChanged = (readPage: ReadChangesPage): Promise<readonly Message[]> =>
    joinedChange === undefined ? Promise.resolve([]) : readChanges(readPage, MAX_PAGE_SIZE, changes.position);

  /**
   * The numbers of edits and deletions are independent of `rooms.v2`. They remain valid after outages, and `rooms.v1`
   * has them, too.
   */
  const changeFeed = followFeed<RoomEvent<'message_updated' | 'message_deleted'>>({
    deliver: (events) => {
      for (const { data, sent_at } of events) deliverChange(data, sent_at);
    },
    async read(signal) {
      const read = await readChanged(insistent(signal).readChangesPage);
      return (covered) => {
        for (const message of read) deliverChange(message);
        for (const { data, sent_at } of covered) deliverChange(data, sent_at);
      };
    },
    onFailure: onRefused,
  });

  function onChange(event: RoomEvent<'message_updated' | 'message_deleted'>): void {
    const { data, sent_at } = event;
    // Changes were made after the reply to the join.
    if (joinedChange === undefined) deliverChange(data, sent_at);
    else changeFeed.take(data.change ?? 0, [event]);
  }

  /** Delivers the response to an own change at once, if no earlier change is missing. */
  async function change(answer: Promise<Message>): Promise<Message> {
    const message = await answer;
    if (message.change === changeFeed.position + 1) onChange(changeEvent(message));
    return message;
  }

  /** Returns whether a warning was delivered before. */
  function isWarned({ ends_at, seconds_left }: EventData['room_ending']): boolean {
    const size = warned.size;
    return warned.add(`${ends_at} ${seconds_left}`).size === size;
  }

  /* Reading */

  function onRead(read_to: string | null, event?: RoomEvent<'read'>): void {
    if (info && read_to) info = withReadMark(info, read_to, newestOther);
    if (event) deliver(event);
  }

  let marking: Promise<ReadMark> | undefined;
  /** The newest message in a read request to the service, and the newest one for the next request. */
  let [asked, wanted] = ['', ''];

  async function markRead(message_id: string): Promise<ReadMark> {
    const participant_id = host.userId();
    const { read_to } = room.info;
    if (participant_id && read_to && message_id <= read_to) return { participant_id, read_to };
    if (message_id > wanted) wanted = message_id;
    await marking?.catch(() => {});
    if (!marking || wanted > asked) {
      asked = wanted;
      wanted = '';
      marking = host.markRead(asked);
      marking.then(
        (mark) => onRead(mark.read_to),
        () => {
          asked = '';
          marking = undefined;
        },
      );
    }
    return marking;
  }

  const typing = typingIn({
    send(isTyping) {
      if (socket && isJoined(phase))
        // A failure is ignored, because a late start is useless, and older services do not support typing.
        socket.request('typing', { room_id, typing: isTyping }).catch(() => {});
    },
    onChange: (peers) => listeners.emit('typing', peers),
  });

  /* The end */

  const closeEnded = (isClosing: boolean) =>
    close({ reason: 'room_ended', ...(endError && { error: endError }) }, isClosing);

  /**
   * Reads the rest of the history of a room that has ended, so that no message from before the end is missed, even
   * after an outage. If that fails within `connectMs`, `closed` contains the error.
   */
  async function readLastMessages(
    events: readonly RoomEvent[],
    error: RoomsApiError | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    log.hold();
    held = [...held, ...events];
    endError = error;
    detach(events.length > 0 && !isNumbered);
    // Uses a monotonic clock, because users and the network can change the wall clock.
    const deadline = performance.now() + settings.connectMs;
    let read: MissedMessages | undefined;
    for (let tried = 0; !read && !signal.aborted; tried++)
      read = await readMessages(host).catch(async (cause: unknown) => {
        if (!isRetryable(cause) || performance.now() >= deadline) {
          if (cause instanceof RoomsApiError) endError = cause;
          return NOTHING;
        }
        await sleep(backoff(tried, settings.reconnectInitialMs, settings.reconnectMaxMs), signal).catch(() => {});
        return undefined;
      });
    // The event contains the room at its end. Without the event, the service is asked.
    if (events.length === 0 && endError === error && !signal.aborted)
      info = await host.readRoom(signal).catch(() => info);
    if (signal.aborted) return;
    if (info) info = { ...info, status: 'ended' };
    release(read ?? NOTHING);
    closeEnded(false);
  }

  /* Joining */

  /**
   * Retries until it succeeds, the phase ends, or the error is permanent. For the first join, every error is permanent.
   */
  async function insist<T>(signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
    for (let tried = 0; ; tried++) {
      try {
        return await abortable(attempt(), signal);
      } catch (error) {
        signal.throwIfAborted();
        if (isFinal(error) || (!isAdmitted && !isRetryable(error))) throw error;
        if (error instanceof RoomsApiError && error.code !== 'connection_lost') joinError = error;
        const ms = backoff(tried, settings.reconnectInitialMs, settings.reconnectMaxMs);
        await sleep(retryAfterOf(error) + ms, signal);
      }
    }
  }

  const insistent = (signal: AbortSignal): Pages => ({
    readPage: (limit, cursor) => insist(signal, () => host.readPage(limit, cursor)),
    readChangesPage: (query) => insist(signal, () => host.readChangesPage(query)),
  });

  async function join(signal: AbortSignal): Promise<void> {
    const current = socket;
    if (!current) return;
    if (!isSkipped && !isStarted && !history && !known) {
      await readHistory(insistent(signal).readPage);
      isSkipped = true;
    }
    let promised = promisedPings(settings, current.speaksV2);
    const { seq, joined_at, last_change, ...joinedRoom } = await insist(signal, () => {
      const ask = () => current.request('join', { room_id, ...promised });
      const asked = ask().catch((error: unknown) => {
        // During a deployment, the handshake may be newer than the functions, which then reject the announced interval.
        if (codeOf(error) !== 'invalid_request' || !('ping_interval_seconds' in promised)) throw error;
        promised = {};
        return ask();
      });
      entering = asked;
      return asked;
    });
    info = joinedRoom;
    joinedSeq = seq;
    joinedChange = last_change;
    if (last_change !== undefined) {
      if (Number.isNaN(changes.position)) changes.start(lastChange ?? last_change);
      // The table was restored, and counts from an earlier number.
      if (last_change < changes.position) changes.start(last_change);
    }
    joinedAt = joined_at;
    isNumbered = seq !== undefined;
    isRejoining = isAdmitted;
    go('join_accepted');
  }

  async function catchUp(signal: AbortSignal): Promise<void> {
    const seq = joinedSeq;
    const isLong = Math.abs(Date.now() - lostAt) > LONG_OUTAGE_MS;
    const hasAll = isStarted && seq && !isLong && !numbered.hasMissed('messages', seq);
    const hasMissed = !seq || isLong || numbered.hasMissed('changes', seq);
    const hasAllChanges = joinedChange === undefined || joinedChange <= changes.position;
    const { readPage, readChangesPage } = insistent(signal);
    const [history, changed] = await Promise.all([
      hasAll ? [] : readHistory(readPage),
      hasAllChanges ? [] : readChanged(readChangesPage),
    ]);
    const isFirst = !isAdmitted;
    isAdmitted = true;
    resolveJoined(room);
    // Gives the caller that awaits the join time to add listeners before the first event.
    if (isFirst) await sleep(0);
    // The socket has just been lost, so history is read again on the next one.
    if (signal.aborted) return;
    isStarted = true;
    release({ history, changed });
    // A listener can have closed the room.
    if (signal.aborted) return;
    if (seq) numbered.start(seq);
    if (!go('caught_up')) return;
    const frames = early;
    early = [];
    for (const frame of frames) onDetached(frame);
    if (!isRejoining || !info || phase !== 'live') return;
    isRejoining = false;
    if (hasMissed) onMissed(info);
    else listeners.emit('rejoined', info);
  }

  /**
   * Reads history although no number is missing, because numbers can be late, or the service may have skipped a
   * message.
   */
  async function readLate(signal: AbortSignal): Promise<void> {
    const read = await readMessages(insistent(signal));
    if (!signal.aborted) release(read);
  }

  /**
   * Waits until the room has started. Checks its times repeatedly, because a user who has not joined receives no event
   * about changes.
   */
  async function awaitStart(signal: AbortSignal): Promise<void> {
    for (let isFirst = true; ; isFirst = false) {
      const current = await insist(signal, () => host.readRoom(signal));
      info = current;
      if (current.status !== 'booked') break;
      if (isFirst) listeners.emit('waiting', current);
      const ms = Date.parse(current.start_time) - Date.now();
      await sleep(Math.min(Math.max(ms, settings.reconnectInitialMs), BOOKED_POLL_MS), signal);
    }
    go('room_started');
  }

  function onRefused(cause: unknown): void {
    const error = cause instanceof RoomsApiError ? cause : undefined;
    if (isAdmitted && error?.code === 'room_not_started' && go('room_booked')) return;
    if (isAdmitted && error?.code === 'room_ended' && go('room_ended'))
      return void readLastMessages([], error, scope.signal);
    if (!isAdmitted) rejectJoined(cause);
    const reason = isAdmitted && error?.code === 'not_a_participant' ? 'removed' : 'refused';
    close({ reason, ...(error && { error }) });
  }

  /* Sending */

  async function joinedSocket(signal: AbortSignal): Promise<Socket> {
    for (;;) {
      if (closed) throw closedError(closed);
      if (phase === 'ending') throw closedError({ reason: 'room_ended' });
      if (socket && isJoined(phase)) return socket;
      await abortable(new Promise<void>((resolve) => waiting.push(resolve)), signal);
    }
  }

  const messages = sender({
    room_id,
    settings,
    upload: host.upload,
    isDelivered: log.has,
    // A retried message may have been stored, even if the room is closed by now. The service still reports it.
    socketFor: async (sentBefore, signal) => {
      try {
        return await joinedSocket(signal);
      } catch (error) {
        if (sentBefore && isFinal(error)) return host.socket(signal);
        throw error;
      }
    },
    onChange: (pending) => listeners.emit('pending', pending),
    onLag: (lags) => {
      if (phase !== 'live') return;
      if (isNumbered) {
        // The reply shows whether a number is missing.
        socket?.check();
        if (lags % LATE_LAGS === 0) readLate(scope.signal).catch(() => {});
        return;
      }
      log.hold();
      go('gap_found');
    },
  });

  async function leave(): Promise<void> {
    const current = socket;
    close({ reason: 'left' });
    if (!current) return;
    const tell = async (): Promise<void> => {
      // The service processes frames in parallel, so a leave could overtake the join that it follows.
      await entering?.catch(() => {});
      // If this fails, the service marks the user absent after the socket closes.
      await current.request('leave', { room_id }).catch(() => {});
    };
    const done = Promise.race([tell(), current.closed]);
    host.onLeaving(done);
    await done;
  }

  function subscribe(): Feed<RoomEvent> {
    const events = feed<RoomEvent>(() => feeds.delete(events));
    if (closed) events.end();
    else feeds.add(events);
    return events;
  }

  function messageIterator(): AsyncIterableIterator<Message, undefined> {
    const own = feed<Message>(() => stop());
    const stopMessages = listeners.on('message', own.push);
    const stopClosed = listeners.on('closed', own.end);
    const stop = () => {
      stopMessages();
      stopClosed();
    };
    if (closed) own.end();
    return own.iterator;
  }

  const room: LiveRoom = {
    id: room_id,
    get info() {
      if (!info) throw new Error('The room has not been joined.');
      return info;
    },
    get closed() {
      return closed;
    },
    get pending() {
      return messages.pending;
    },
    on: listeners.on,
    once: listeners.once,
    off: listeners.off,
    events: () => subscribe().iterator,
    messages: messageIterator,
    async send(message, options) {
      const sent = messages.send(message, options);
      typing.sent();
      return sent;
    },
    edit: (id, text, options) => change(host.edit(id, text, options)),
    delete: (id, options) => change(host.delete(id, options)),
    markRead,
    setTyping: typing.set,
    get typing() {
      return typing.peers;
    },
    get lastChange() {
      return Number.isNaN(changes.position) ? undefined : changes.position;
    },
    leave,
  };
  return {
    joined: shared(joined, () => void leave()),
    enter(next) {
      if (phase === 'ending' || phase === 'closed') return;
      socket = next;
      go('socket_opened');
    },
    suspend() {
      socket = undefined;
      lostAt = Date.now();
      go('socket_lost');
    },
    get isNumbered() {
      return isNumbered;
    },
    onEvent,
    onEvents(frame) {
      if (!closed) numbered.take(frame);
    },
    onDetached,
    ask() {
      if (!isNumbered || phase !== 'live') return undefined;
      const asked = entering;
      const take = numbered.ask();
      return (seq) => {
        if (entering === asked && phase === 'live' && !take(seq)) go('join_lost');
      };
    },
    close,
  };
}
