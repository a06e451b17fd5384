import type { RoomsClient } from '../client.ts';
import type { MyRoom } from '../contract.ts';
import { codeOf, isRetryable } from '../errors.ts';
import type { LiveRoom } from '../room-types.ts';
import { backoff, sleep } from '../timing.ts';
import { lazyStore, type Store } from './lazy-store.ts';

/**
 * The user's relation to a room.
 *
 * - `joining`: the room is being joined.
 * - `joined`: events are delivered, also after outages.
 * - `booked`: the room starts later. It is joined when it starts.
 * - `ended`: the room has ended. Its history can still be read.
 * - `removed`: the user is not a participant, or the room does not exist. The room is joined when the user is added.
 * - `left`: the user has left the room.
 * - `failed`: see `error`. Temporary errors are retried; `retry` tries immediately.
 */
export type RoomStatus = 'joining' | 'joined' | 'booked' | 'ended' | 'removed' | 'left' | 'failed';

export interface RoomState {
  readonly status: RoomStatus;
  /** The room, with the user's own profile and rights in it, as last received. */
  readonly room: MyRoom | undefined;
  /** Why `status` is `failed` or `removed`. */
  readonly error: unknown;
  /** The last warning that the room ends soon. Undefined without one, and after the end has moved. */
  readonly ending: { readonly ends_at: string; readonly seconds_left: number } | undefined;
  /** The SDK's joined room, also after it was closed. Use it for functions without a hook, such as other events. */
  readonly live: LiveRoom | undefined;
}

export interface RoomStore extends Store<RoomState> {
  /** Joins the room now, unless it is joined or being joined. */
  retry(): void;
  /** Leaves the room permanently: the user is no longer a participant. */
  leave(): Promise<void>;
  /** Marks all messages up to this one as read. Never rejects: a failed attempt is repeated with the next message. */
  markRead(messageId: string): void;
  /** Shows others that the user is typing. Call it at each keystroke. */
  setTyping(typing: boolean): void;
}

export const initialRoom: RoomState = {
  status: 'joining',
  room: undefined,
  error: undefined,
  ending: undefined,
  live: undefined,
};

/** How long a room stays joined after the last component that uses it was unmounted, in milliseconds. */
const LINGER_MS = 250;
/** Waits between attempts to join a room, in milliseconds. */
const RETRY_INITIAL_MS = 1_000;
const RETRY_MAX_MS = 30_000;
/**
 * The interval at which a booked room's start time is checked, in milliseconds, because no event reports a changed
 * start.
 */
const BOOKED_POLL_MS = 60_000;
const BOOKED_MIN_MS = 250;
/** The minimum interval between two read marks, in milliseconds. */
const MARK_MS = 1_000;

/** The events that can change `info`. */
const INFO_EVENTS = ['room_updated', 'room_started', 'room_ended', 'read', 'missed', 'rejoined'] as const;

const OWN_FIELDS = ['username', 'archive_room', 'is_admin', 'role'] as const;

/**
 * Returns the state of one room. The room is joined while the store has listeners.
 *
 * @param onChange called when the room has changed or was closed, to update lists of rooms
 */
export function roomStore(client: RoomsClient, roomId: string, onChange: () => void): RoomStore {
  /** The newest message that was read, and the newest one in a request to the service. */
  let readTo = '';
  let marked = '';
  let marking: ReturnType<typeof setTimeout> | undefined;
  let isLeaving = false;
  /** Aborts the current attempt. Undefined without listeners. */
  let scope: AbortController | undefined;

  const store = lazyStore<RoomState>(
    initialRoom,
    () => {
      void run();
      return () => {
        const { live } = store.state;
        flushMark();
        scope?.abort();
        scope = undefined;
        live?.leave().catch(() => {});
      };
    },
    LINGER_MS,
  );

  /** Sends the read mark, at most once per MARK_MS, because in a busy room each message is read as it arrives. */
  function sendMark(): void {
    const before = marked;
    const id = readTo;
    marked = id;
    marking = setTimeout(flushMark, MARK_MS);
    const { status, live, room } = store.state;
    const request = status === 'joined' && live ? live.markRead(id) : client.markRead(roomId, id);
    request.then(
      () => {
        if (live && live === store.state.live) store.set({ room: live.info });
        if (room?.has_unread) onChange();
      },
      () => {
        if (readTo === id) readTo = before;
      },
    );
  }

  function flushMark(): void {
    clearTimeout(marking);
    marking = undefined;
    if (readTo > marked) sendMark();
  }

  function listen(live: LiveRoom, signal: AbortSignal): void {
    const onInfo = () => {
      if (signal.aborted) return;
      const { ending } = store.state;
      const isMoved = ending?.ends_at !== live.info.end_time;
      store.set({ room: live.info, ...(ending && isMoved && { ending: undefined }) });
    };
    /** Ignores changes of others' names and rights. */
    const onProfile = () => {
      const { room } = store.state;
      if (OWN_FIELDS.some((name) => live.info[name] !== room?.[name])) onInfo();
    };
    const stops = [
      live.on('participant_updated', onProfile),
      ...INFO_EVENTS.map((name) => live.on(name, onInfo)),
      ...(['room_updated', 'room_started', 'read'] as const).map((name) => live.on(name, onChange)),
      live.on('room_ending', ({ ends_at, seconds_left }) => store.set({ ending: { ends_at, seconds_left } })),
      live.on('waiting', (room) => store.set({ status: 'booked', room })),
      live.on('rejoined', () => store.set({ status: 'joined', room: live.info })),
      live.on('closed', ({ reason, error }) => {
        if (signal.aborted) return;
        onChange();
        if (reason === 'room_ended') store.set({ status: 'ended', room: live.info });
        else if (reason === 'left') store.set({ status: 'left' });
        else if (reason === 'removed') {
          store.set({ status: isLeaving ? 'left' : 'removed', error });
          awaitAddition(signal);
        } else store.set({ status: 'failed', error: error ?? new Error('The connection was closed.') });
      }),
    ];
    signal.addEventListener('abort', () => {
      for (const stop of stops) stop();
    });
  }

  /** Joins the room again when the user is added to it. */
  function awaitAddition(signal: AbortSignal): void {
    const follow = async (): Promise<void> => {
      const connection = await client.connect({ signal });
      const stop = connection.on('added', ({ room_id }) => {
        if (room_id === roomId && ['removed', 'left'].includes(store.state.status)) void run();
      });
      signal.addEventListener('abort', stop);
      await connection.subscribe({ signal });
    };
    // Without this, `retry` and the next mount still join the room.
    follow().catch(() => {});
  }

  /**
   * Joins the room, or finds out why that is not possible.
   *
   * @throws for errors of the service or the network
   */
  async function join(signal: AbortSignal): Promise<Partial<RoomState>> {
    try {
      const live = await client.join(roomId, { signal });
      listen(live, signal);
      return { status: 'joined', live, room: live.info, error: undefined };
    } catch (error) {
      const code = codeOf(error);
      if (code === 'not_a_participant' || code === 'room_not_found') return { status: 'removed', error };
      if (code !== 'room_ended' && code !== 'room_not_started') throw error;
      const room = await client.getRoom(roomId, { signal });
      return { status: room.status === 'ended' ? 'ended' : 'booked', room, error: undefined };
    }
  }

  async function run(): Promise<void> {
    scope?.abort();
    scope = new AbortController();
    const { signal } = scope;
    store.set({ status: 'joining', error: undefined });
    for (let tried = 0; !signal.aborted; tried++) {
      try {
        const next = await join(signal);
        if (signal.aborted) return void next.live?.leave().catch(() => {});
        store.set(next);
        if (next.status === 'removed') awaitAddition(signal);
        if (next.status !== 'booked' || !next.room) return;
        const ms = Date.parse(next.room.start_time) - Date.now();
        await sleep(Math.min(Math.max(ms, BOOKED_MIN_MS), BOOKED_POLL_MS), signal);
      } catch (error) {
        if (signal.aborted) return;
        store.set({ status: 'failed', error });
        if (!isRetryable(error)) return;
        await sleep(backoff(tried, RETRY_INITIAL_MS, RETRY_MAX_MS), signal).catch(() => {});
      }
    }
  }

  return Object.assign(store, {
    retry() {
      if (scope && !['joining', 'joined'].includes(store.state.status)) void run();
    },
    async leave() {
      isLeaving = true;
      try {
        await client.leaveRoom(roomId);
      } finally {
        isLeaving = false;
      }
      const { status, live } = store.state;
      if (status === 'left') return;
      scope?.abort();
      store.set({ status: 'left' });
      if (scope) {
        scope = new AbortController();
        awaitAddition(scope.signal);
      }
      await live?.leave();
    },
    markRead(messageId: string) {
      if (messageId <= readTo || messageId <= (store.state.room?.read_to ?? '')) return;
      readTo = messageId;
      if (!marking) sendMark();
    },
    setTyping(typing: boolean) {
      if (store.state.status === 'joined') store.state.live?.setTyping(typing);
    },
  });
}
