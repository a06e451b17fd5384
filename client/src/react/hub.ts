import type { RoomsClient } from '../client.ts';
import type { ConnectionState } from '../connection.ts';
import type { Message } from '../contract.ts';
import { backoff, sleep } from '../timing.ts';
import { lazyStore, type ReadableStore } from './lazy-store.ts';
import { type MessageStore, messageStore } from './message-store.ts';
import { type Outbox, outbox } from './outbox.ts';
import { type ParticipantStore, participantStore } from './participant-store.ts';
import { type RoomFilter, type RoomListStore, roomListStore } from './room-list-store.ts';
import { type RoomStore, roomStore } from './room-store.ts';
import { type TypingState, typingStore } from './typing-store.ts';

/** The stores that the hooks of one room share. */
export interface RoomStores {
  readonly room: RoomStore;
  readonly outbox: Outbox;
  readonly participants: ParticipantStore;
  readonly typing: ReadableStore<TypingState>;
  /** One store for each page size. */
  messages(pageSize: number | undefined): MessageStore;
}

export interface ConnectionInfo {
  /** `failed`: the first connection could not be opened. The client tries again. */
  readonly state: ConnectionState | 'failed';
  /** The user, if the access token contains one. */
  readonly userId: string | undefined;
}

/** The shared state of all components with the same client: each room is joined once, and each list is read once. */
export interface Hub {
  readonly client: RoomsClient;
  readonly connection: ReadableStore<ConnectionInfo> & { retry(): void };
  room(roomId: string): RoomStores;
  rooms(filter: RoomFilter, refreshMs: number): RoomListStore;
}

export const initialConnection: ConnectionInfo = { state: 'connecting', userId: undefined };

const CONNECTION_STATES = ['connecting', 'connected', 'reconnecting', 'idle', 'closed'] as const;
const RETRY_INITIAL_MS = 1_000;
const RETRY_MAX_MS = 10_000;

function connectionStore(client: RoomsClient): Hub['connection'] {
  let retry = (): void => {};
  const store = lazyStore<ConnectionInfo>(initialConnection, (own) => {
    const closing = new AbortController();
    const { signal } = closing;

    async function follow(): Promise<void> {
      for (let tried = 0; !signal.aborted; tried++)
        try {
          const connection = await client.connect({ signal });
          const show = () => own.set({ state: connection.state, userId: connection.userId });
          for (const name of CONNECTION_STATES) {
            const stop = connection.on(name, show);
            signal.addEventListener('abort', stop);
          }
          retry = () => connection.retry();
          return show();
        } catch {
          if (signal.aborted) return;
          own.set({ state: 'failed' });
          await sleep(backoff(tried, RETRY_INITIAL_MS, RETRY_MAX_MS), signal).catch(() => {});
        }
    }

    void follow();
    return () => {
      retry = () => {};
      closing.abort();
    };
  });
  return Object.assign(store, { retry: () => retry() });
}

function createHub(client: RoomsClient): Hub {
  const rooms = new Map<string, RoomStores>();
  const lists = new Map<string, RoomListStore>();
  const listeners = new Set<() => void>();
  const onRoomChange = () => {
    for (const listener of listeners) listener();
  };
  const onJoinedChange = (listener: () => void) => {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  };

  function openRoom(roomId: string): RoomStores {
    const room = roomStore(client, roomId, onRoomChange);
    const sent = outbox(room);
    const pages = new Map<number | undefined, MessageStore>();
    return {
      room,
      outbox: sent,
      participants: participantStore(client, roomId, room),
      typing: typingStore(room),
      messages(pageSize) {
        const store = pages.get(pageSize) ?? messageStore(client, roomId, room, sent, pageSize);
        pages.set(pageSize, store);
        return store;
      },
    };
  }

  return {
    client,
    connection: connectionStore(client),
    // Stores without listeners do nothing and are small, so they are not removed.
    room(id) {
      const roomId = id.toLowerCase();
      const stores = rooms.get(roomId) ?? openRoom(roomId);
      rooms.set(roomId, stores);
      return stores;
    },
    rooms(filter, refreshMs) {
      const key = JSON.stringify([Object.entries(filter).sort(), refreshMs]);
      const store = lists.get(key) ?? roomListStore(client, filter, refreshMs, onJoinedChange);
      lists.set(key, store);
      return store;
    },
  };
}

const hubs = new WeakMap<RoomsClient, Hub>();

/**
 * Returns the hub of a client. It reads and joins nothing before a store has a listener, so it can be called during
 * rendering.
 */
export function hubOf(client: RoomsClient): Hub {
  const hub = hubs.get(client) ?? createHub(client);
  hubs.set(client, hub);
  return hub;
}

/** Returns the users whose read mark is at a message or after it, except its sender. */
export const seenBy = <Person extends { readonly participant_id: string; readonly read_to: string | null }>(
  participants: readonly Person[],
  { message_id, sender_id }: Pick<Message, 'message_id' | 'sender_id'>,
): readonly Person[] =>
  participants.filter(
    ({ participant_id, read_to }) => participant_id !== sender_id && read_to !== null && read_to >= message_id,
  );
