import type { EventData } from './contract.ts';
import type { Peer } from './room-types.ts';

/* Sends whether the user is typing in a room, and tracks who else is. Nothing is stored. */

/** The minimum interval between two frames, in milliseconds. */
const MIN_GAP_MS = 2_000;
/** How often the frame is repeated while the user types, in milliseconds. */
const REPEAT_MS = 4_000;
/** The user counts as not typing after this time without a call, in milliseconds. */
const IDLE_MS = 10_000;
/**
 * Others count as not typing after this time without an event, in milliseconds. Their clients repeat it every
 * REPEAT_MS.
 */
const EXPIRY_MS = 6_000;

export interface TypingHost {
  /** Sends a frame, if that is possible now. Never throws. */
  send(typing: boolean): void;
  onChange(peers: readonly Peer[]): void;
}

export interface Typing {
  readonly peers: readonly Peer[];
  /** The user is typing, or has stopped. */
  set(typing: boolean): void;
  /** The user has sent a message, and so stopped typing. */
  sent(): void;
  heard(data: EventData['typing']): void;
  /** A message of another user was delivered, or they left. */
  stopped(participant_id: string): void;
  close(): void;
}

export function typingIn(host: TypingHost): Typing {
  const others = new Map<string, { readonly peer: Peer; readonly timer: ReturnType<typeof setTimeout> }>();
  let repeat: ReturnType<typeof setTimeout> | undefined;
  let idle: ReturnType<typeof setTimeout> | undefined;
  let sentAt = Number.NEGATIVE_INFINITY;
  /** Whether a start was sent for the user. */
  let isTold = false;
  let peers: readonly Peer[] = [];

  function changed(): void {
    peers = [...others.values()].map(({ peer }) => peer);
    host.onChange(peers);
  }

  function say(): void {
    const wait = sentAt + MIN_GAP_MS - performance.now();
    if (wait <= 0) {
      sentAt = performance.now();
      isTold = true;
      host.send(true);
    }
    repeat = setTimeout(say, wait > 0 ? wait : REPEAT_MS);
  }

  function halt(): void {
    clearTimeout(repeat);
    clearTimeout(idle);
    repeat = undefined;
  }

  function set(typing: boolean): void {
    clearTimeout(idle);
    if (typing) {
      idle = setTimeout(() => set(false), IDLE_MS);
      if (!repeat) say();
      return;
    }
    halt();
    if (isTold) host.send(false);
    isTold = false;
  }

  function stopped(participant_id: string): void {
    clearTimeout(others.get(participant_id)?.timer);
    if (others.delete(participant_id)) changed();
  }

  return {
    get peers() {
      return peers;
    },
    set,
    sent() {
      halt();
      isTold = false;
    },
    heard({ typing, participant_id, username }) {
      if (!typing) return stopped(participant_id);
      const known = others.get(participant_id);
      clearTimeout(known?.timer);
      const timer = setTimeout(stopped, EXPIRY_MS, participant_id);
      others.set(participant_id, { peer: { participant_id, username }, timer });
      if (known?.peer.username !== username || !known) changed();
    },
    stopped,
    close() {
      halt();
      for (const { timer } of others.values()) clearTimeout(timer);
      others.clear();
      if (peers.length > 0) changed();
    },
  };
}
