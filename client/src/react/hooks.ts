import {
  createContext,
  createElement,
  type ReactNode,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useSyncExternalStore,
} from 'react';
import type { RoomsClient } from '../client.ts';
import type { Message } from '../contract.ts';
import type { ParticipantListState } from '../live-state.ts';
import type { OutgoingMessage } from '../room-types.ts';
import { type ConnectionInfo, type Hub, hubOf, initialConnection } from './hub.ts';
import type { ReadableStore } from './lazy-store.ts';
import { initialMessages, type MessagesState } from './message-store.ts';
import { initialParticipants } from './participant-store.ts';
import { initialRoomList, REFRESH_MS, type RoomFilter, type RoomListState } from './room-list-store.ts';
import { initialRoom, type RoomState } from './room-store.ts';
import { initialTyping, type TypingState } from './typing-store.ts';

const ClientContext = createContext<RoomsClient | undefined>(undefined);

/**
 * Provides a client to the hooks below it.
 *
 * @example
 * ```tsx
 * const client = new RoomsClient({ url, wsUrl, token });
 * root.render(<RoomsProvider client={client}><App /></RoomsProvider>);
 * ```
 */
export function RoomsProvider({
  client,
  children,
}: {
  readonly client: RoomsClient;
  readonly children?: ReactNode;
}): ReactNode {
  return createElement(ClientContext.Provider, { value: client }, children);
}

/**
 * Returns the client, for calls without a hook.
 *
 * @throws Error outside of `RoomsProvider`
 */
export function useRoomsClient(): RoomsClient {
  const client = useContext(ClientContext);
  if (!client) throw new Error('Put <RoomsProvider client={…}> around the components that use the hooks of Rooms.');
  return client;
}

const useHub = (): Hub => hubOf(useRoomsClient());

/** Reads a store. On the server, and while the page is hydrated, the state is `initial`. */
function useStore<State>(store: ReadableStore<State>, initial: State): State {
  const subscribe = useCallback((listener: () => void) => store.subscribe(listener), [store]);
  return useSyncExternalStore(
    subscribe,
    () => store.state,
    () => initial,
  );
}

export interface UseConnection extends ConnectionInfo {
  /** Opens the next socket now, if the connection is waiting for its next attempt. */
  retry(): void;
}

/** Returns the state of the connection, for a notice such as "You are offline". Connects if necessary. */
export function useConnection(): UseConnection {
  const { connection } = useHub();
  const state = useStore(connection, initialConnection);
  return useMemo(() => ({ ...state, retry: connection.retry }), [state, connection]);
}

export interface UseRooms extends RoomListState {
  /** Reads the list again. Never rejects: see `status`. */
  refresh(): Promise<void>;
  /** Reads one more page. Never rejects: see `status`. */
  loadMore(): Promise<void>;
}

export interface UseRoomsOptions {
  /**
   * The interval between two reads of the list, in milliseconds. Default: 30,000. Rooms that are not joined send no
   * events, so their changes are detected only at the next read.
   */
  readonly refreshMs?: number;
}

/**
 * Returns the rooms of the user, newest first. The list is updated when the user is added or removed, and when a joined
 * room changes.
 *
 * @param filter the query of `listRooms`. Equal objects count as the same filter, so you can write it inline
 */
export function useRooms(filter: RoomFilter = {}, { refreshMs = REFRESH_MS }: UseRoomsOptions = {}): UseRooms {
  const store = useHub().rooms(filter, refreshMs);
  const state = useStore(store, initialRoomList);
  return useMemo(() => ({ ...state, refresh: store.refresh, loadMore: store.loadMore }), [state, store]);
}

export interface UseRoom extends RoomState {
  /** Joins the room now, if an attempt has failed. */
  retry(): void;
  /**
   * Leaves the room permanently: the user is no longer a participant. To only close the room, unmount the component.
   *
   * @throws RoomsApiError `last_admin`.
   */
  leave(): Promise<void>;
}

/**
 * Joins a room while the component is mounted, and returns its state. All hooks with the same room share one join.
 *
 * The component renders again when the room, the user's rights in it, or `status` change, but not for messages,
 * presence or typing.
 */
export function useRoom(roomId: string): UseRoom {
  const { room } = useHub().room(roomId);
  const state = useStore(room, initialRoom);
  return useMemo(() => ({ ...state, retry: room.retry, leave: room.leave }), [state, room]);
}

export interface UseMessagesOptions {
  /** Messages per page. Default: 50, at most 200. */
  readonly pageSize?: number;
}

export interface UseMessages extends MessagesState {
  /** Reads the page before the first message. Never rejects: see `earlier`. */
  loadEarlier(): Promise<void>;
  /**
   * Shows a message in `pending`, and sends it when the room is joined. Returns its `client_message_id`.
   *
   * A message that cannot be sent stays in `pending` with the state `failed`. While messages are being sent, the room
   * stays joined, even after the component is unmounted.
   */
  send(message: OutgoingMessage): string;
  /** Sends a failed message again. */
  retry(clientMessageId: string): void;
  /** Removes a message from `pending`, and stops its upload. */
  discard(clientMessageId: string): void;
  /**
   * Changes the text of the user's own message. Returns the message, which `messages` already contains.
   *
   * @throws RoomsApiError `not_the_sender`, `message_not_found`, `message_deleted`, `read_only`, or `room_ended`
   */
  edit(messageId: string, text: string): Promise<Message>;
  /**
   * Deletes the user's own message or, for admins, any message. Returns the deleted message, which `messages` already
   * contains.
   *
   * @throws RoomsApiError `not_the_sender`, `message_not_found`, or `room_ended`
   */
  remove(messageId: string): Promise<Message>;
  /**
   * Marks all messages up to this one as read. Call it with the newest visible message. Calls with older ones have no
   * effect.
   */
  markRead(messageId: string): void;
}

/**
 * Returns the messages of a room: the newest page, earlier pages on request, and all later changes, also after outages.
 *
 * The component renders again when messages change, but not for presence, typing or other rooms.
 */
export function useMessages(roomId: string, { pageSize }: UseMessagesOptions = {}): UseMessages {
  const stores = useHub().room(roomId);
  const store = stores.messages(pageSize);
  const state = useStore(store, initialMessages);
  const { outbox, room } = stores;
  return useMemo(
    () => ({
      ...state,
      loadEarlier: store.loadEarlier,
      send: outbox.send,
      retry: outbox.retry,
      discard: outbox.discard,
      edit: store.edit,
      remove: store.remove,
      markRead: room.markRead,
    }),
    [state, store, outbox, room],
  );
}

export interface UseParticipants extends ParticipantListState {
  /** Reads the list again. */
  refresh(): void;
}

export interface UseParticipantsOptions {
  /**
   * The interval between two reads of the list, in milliseconds, to update others' read marks, which no event reports.
   * Default: none. Presence, names and rights are always up to date.
   */
  readonly refreshMs?: number | undefined;
}

/**
 * Returns the participants of a room with their presence, rights and read marks.
 *
 * The component renders again when participants change, but not for messages or typing.
 */
export function useParticipants(roomId: string, { refreshMs }: UseParticipantsOptions = {}): UseParticipants {
  const { participants } = useHub().room(roomId);
  const state = useStore(participants, initialParticipants);
  useEffect(() => {
    if (refreshMs === undefined) return;
    const timer = setInterval(() => {
      if (!document.hidden) participants.refresh();
    }, refreshMs);
    return () => clearInterval(timer);
  }, [participants, refreshMs]);
  return useMemo(() => ({ ...state, refresh: participants.refresh }), [state, participants]);
}

export interface UseTyping extends TypingState {
  /** Shows others that the user is typing. Call it with true at each keystroke, and with false when the text is empty. */
  setTyping(typing: boolean): void;
}

/**
 * Returns who else is typing in a room with at most 100 connections.
 *
 * The component renders again when somebody starts or stops typing, so use it in a separate component.
 */
export function useTyping(roomId: string): UseTyping {
  const { room, typing } = useHub().room(roomId);
  const state = useStore(typing, initialTyping);
  return useMemo(() => ({ ...state, setTyping: room.setTyping }), [state, room]);
}
