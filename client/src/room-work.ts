import type { JoinedRoom } from './contract.ts';
import { codeOf, isRetryable, RoomsApiError } from './errors.ts';
import type { Insist } from './insist.ts';
import { LONGEST_UNSENT } from './ping-schedule.ts';
import type { MissedMessages } from './room-feeds.ts';
import type { RoomHost } from './room-host.ts';
import type { RoomInbox } from './room-inbox.ts';
import type { Input, Work } from './room-machine.ts';
import type { RoomOutlet } from './room-outlet.ts';
import type { RoomReader } from './room-reader.ts';
import type { RoomEvent, Socket } from './socket.ts';
import { backoff, sleep } from './timing.ts';

/* The effects of the state machine that take time. Each ends with an input to the state machine, unless its signal aborts. */

/** The data of a room beside its phase, and what one phase passes to the next. */
export interface RoomFacts {
  /** The socket, in the phases that have one. */
  socket?: Socket | undefined;
  /** When the socket was last lost, by the clock of this machine. */
  lostAt: number;
  /** The last join request. */
  joining?: Promise<unknown>;
  /** The reply to the last join. It has `seq` exactly with `rooms.v2`. */
  reply?: JoinedRoom;
  /** Messages that were read, to release next. */
  read: MissedMessages;
  /** Events other than messages were missed before the last join. */
  hasMissed?: boolean;
  /** The events with which the room ended. None if the end was detected in another way. */
  events: readonly RoomEvent[];
  /** The error for the end of the room: how it was detected, or why the last messages may be missing. */
  error?: RoomsApiError | undefined;
}

export const NOTHING: MissedMessages = { history: [], changed: [] };

/** The interval at which the start time of a booked room is checked, in milliseconds. */
const BOOKED_POLL_MS = 60_000;

/**
 * In milliseconds. After a longer outage, equal numbers do not prove that nothing was missed, because a restored table
 * may have reached the same number again.
 */
const LONG_OUTAGE_MS = 300_000;

/** The longest ping intervals that services accept, in seconds: older ones, and those with `rooms.v2`. */
const MAX_PING_INTERVAL_SECONDS = [90, 240] as const;

/**
 * Announces the ping interval, so that the service notices when this client is gone. With `rooms.v1`, it is half the
 * actual rate. Intervals above the maximum are not announced.
 */
function promisedPings(pingMs: number, speaksV2: boolean): { ping_interval_seconds?: number } {
  const ping_interval_seconds = Math.ceil(((speaksV2 ? LONGEST_UNSENT : 2) * pingMs) / 1_000);
  return ping_interval_seconds <= MAX_PING_INTERVAL_SECONDS[speaksV2 ? 1 : 0] ? { ping_interval_seconds } : {};
}

/** Asks the service to leave a room. Never rejects. */
export async function requestLeave(room_id: string, socket: Socket, joining?: Promise<unknown>): Promise<void> {
  // The service processes frames in parallel, so a leave could overtake the join that it follows.
  await joining?.catch(() => {});
  // If this fails, the service marks the user absent after the socket closes.
  await socket.request('leave', { room_id }).catch(() => {});
}

export interface WorkHost {
  readonly room_id: string;
  readonly host: RoomHost;
  readonly facts: RoomFacts;
  readonly insist: Insist;
  readonly inbox: RoomInbox;
  readonly outlet: RoomOutlet;
  readonly reader: RoomReader;
  /** See `JoinOptions`. */
  readonly lastChange: number | undefined;
  readonly go: (input: Input, news?: Partial<RoomFacts>) => boolean;
  /** Closes a room that has ended. */
  readonly closeEnded: () => void;
}

export function roomWork(work: WorkHost): Readonly<Record<Work, (signal: AbortSignal) => Promise<void>>> {
  const { room_id, host, facts, insist, inbox, outlet, reader, go } = work;
  const { settings } = host;

  return {
    async join(signal) {
      const { socket } = facts;
      if (!socket) return;
      await reader.skip(signal);
      let promised = promisedPings(settings.pingMs, socket.speaksV2);
      const reply = await insist(signal, () => {
        const ask = () => socket.request('join', { room_id, ...promised });
        const asked = ask().catch((error: unknown) => {
          // During a deployment, the handshake may be newer than the functions, which then reject the announced interval.
          if (codeOf(error) !== 'invalid_request' || !('ping_interval_seconds' in promised)) throw error;
          promised = {};
          return ask();
        });
        facts.joining = asked;
        return asked;
      });
      if (signal.aborted) return;
      const { seq, joined_at, last_change, ...info } = reply;
      outlet.info = info;
      inbox.onJoined(reply, work.lastChange);
      go('join_accepted', { reply });
    },

    async read_history(signal) {
      const { seq, last_change } = facts.reply ?? {};
      const isLong = Math.abs(Date.now() - facts.lostAt) > LONG_OUTAGE_MS;
      const hasAll = reader.isStarted && seq && !isLong && !inbox.numbered.hasMissed('messages', seq);
      const hasMissed = !seq || isLong || inbox.numbered.hasMissed('changes', seq);
      const hasAllChanges = last_change === undefined || last_change <= inbox.lastChange;
      const [history, changed] = await Promise.all([
        hasAll ? [] : reader.history(signal),
        hasAllChanges ? [] : reader.changes(signal),
      ]);
      // If the socket has just been lost, history is read again on the next one.
      if (!signal.aborted) go('history_read', { read: { history, changed }, hasMissed });
    },

    async pause(signal) {
      await sleep(0, signal);
      go('history_read');
    },

    /** Checks the times of the room repeatedly, because a user who has not joined receives no event about changes. */
    async await_start(signal) {
      for (let isFirst = true; ; isFirst = false) {
        const room = await insist(signal, () => host.readRoom(signal));
        outlet.info = room;
        if (room.status !== 'booked') break;
        if (isFirst) outlet.listeners.emit('waiting', room);
        const ms = Date.parse(room.start_time) - Date.now();
        await sleep(Math.min(Math.max(ms, settings.reconnectInitialMs), BOOKED_POLL_MS), signal);
      }
      go('room_started');
    },

    /**
     * Reads the rest of the history of a room that has ended, so that no message from before the end is missed, even
     * after an outage. If that fails within `connectMs`, `closed` contains the error.
     */
    async read_last(signal) {
      const { events, error } = facts;
      inbox.keep(events);
      // Uses a monotonic clock, because users and the network can change the wall clock.
      const deadline = performance.now() + settings.connectMs;
      let read: MissedMessages | undefined;
      for (let tried = 0; !read && !signal.aborted; tried++)
        read = await reader.all().catch(async (cause: unknown) => {
          if (!isRetryable(cause) || performance.now() >= deadline) {
            if (cause instanceof RoomsApiError) facts.error = cause;
            return NOTHING;
          }
          await sleep(backoff(tried, settings.reconnectInitialMs, settings.reconnectMaxMs), signal).catch(() => {});
          return undefined;
        });
      // The event contains the room at its end. Without the event, the service is asked.
      if (events.length === 0 && facts.error === error && !signal.aborted)
        outlet.info = await host.readRoom(signal).catch(() => outlet.info);
      if (signal.aborted) return;
      if (outlet.info) outlet.info = { ...outlet.info, status: 'ended' };
      inbox.release(read ?? NOTHING);
      work.closeEnded();
    },
  };
}
