import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import { type ConnectionState, RoomsClient } from '../../../client/src/index.ts';
import { hubOf } from '../../../client/src/react/index.ts';
import { openRoom } from '../room/session.ts';
import { waitingMessages } from '../room/waiting-messages.ts';
import { createStore, type Store } from '../store.ts';
import type { Config } from './config.ts';
import { createDrafts, type Drafts } from './drafts.ts';
import { sayError } from './errors.ts';
import { type OpenRooms, openRooms } from './open-rooms.ts';
import { watchForRecovery } from './recovery.ts';
import { type RoomList, roomList } from './room-list.ts';
import { browserStorage } from './storage.ts';
import { tokenSource } from './tokens.ts';
import { trackUnread, type Unread } from './unread.ts';

/** The state of the connection. `failed`: the first connection has failed. */
export type Online = ConnectionState | 'failed';

/** The state of a user on this page. */
export interface UserSession {
  readonly userId: string;
  readonly client: RoomsClient;
  readonly rooms: RoomList;
  readonly drafts: Drafts;
  readonly unread: Unread;
  readonly openRooms: OpenRooms;
  readonly online: Store<Online>;
  /** The last error outside a form, which is shown for a while. */
  readonly trouble: Store<{ readonly text: string } | undefined>;
  /** Connects at once, without waiting for the next attempt. */
  retryNow(): void;
  /** Runs an action, and shows its error. Returns true if it succeeds. */
  attempt(action: () => Promise<unknown>): Promise<boolean>;
  close(): void;
}

export function startSession(config: Config, userId: string, tokens = tokenSource(config.issuer, userId)): UserSession {
  const { http, ws } = config;
  const storage = browserStorage();
  const client = new RoomsClient({ url: http, wsUrl: ws, token: tokens.get });
  const online = createStore<Online>('connecting');
  const trouble = createStore<{ readonly text: string } | undefined>(undefined);
  const closing = new AbortController();
  const { signal } = closing;

  async function open(): Promise<void> {
    online.update(() => 'connecting');
    try {
      const connection = await client.connect({ signal });
      if (signal.aborted) return connection.close();
      signal.addEventListener('abort', connection.close);
      online.update(() => connection.state);
      for (const state of ['connected', 'connecting', 'reconnecting', 'idle', 'closed'] as const)
        connection.on(state, () => online.update(() => state));
      connection.on('added', ({ room_id }) => opened.enterAgain(room_id));
      for (const change of ['subscribed', 'added', 'removed'] as const)
        connection.on(change, () => void rooms.refresh());
      // A failure is harmless, because the list is also read every few seconds.
      connection.subscribe({ signal }).catch(() => {});
    } catch (error) {
      console.info('The connection could not be opened.', error);
      online.update(() => 'failed');
    }
  }
  const isLost = (): boolean => ['reconnecting', 'failed', 'closed'].includes(online.get());
  const recovery = watchForRecovery({
    config,
    onBack({ isFirst }) {
      if (isFirst) tokens.forget();
      if (online.get() === 'reconnecting') retryConnection();
      else void open();
    },
    // Drafts and waiting messages survive a reload.
    onMoved: () => location.reload(),
  });
  const waiting = waitingMessages(storage, userId);
  const rooms = roomList(client);
  const opened = openRooms((roomId, onIdle) => openRoom({ client, roomId, userId, storage, waiting, onIdle }));
  const unread = trackUnread(rooms, (roomId, messageId) => hubOf(client).room(roomId).room.markRead(messageId));
  online.subscribe(() => {
    recovery.onConnection(isLost());
    if (online.get() !== 'connected') return;
    opened.retryFailed();
    void rooms.refresh();
  });
  let failedBefore = false;
  const stopRetrying = rooms.store.subscribe(() => {
    const failed = rooms.store.get().failure !== undefined;
    if (failedBefore && !failed) opened.retryFailed();
    failedBefore = failed;
  });
  void open();
  // Sends messages from before a reload, also in rooms that are not shown.
  for (const roomId of waiting.rooms()) opened.view(roomId).release();

  return {
    userId,
    client,
    rooms,
    drafts: createDrafts(storage, userId),
    unread,
    openRooms: opened,
    online,
    trouble,
    retryNow: recovery.checkNow,
    async attempt(action) {
      try {
        await action();
        return true;
      } catch (error) {
        trouble.update(() => ({ text: sayError(error) }));
        return false;
      }
    },
    close() {
      recovery.close();
      stopRetrying();
      unread.close();
      opened.close();
      rooms.close();
      closing.abort();
    },
  };
}

/** Makes the client reconnect at once, as when the browser goes online. */
const retryConnection = (): void => void globalThis.dispatchEvent(new Event('online'));

const SessionContext = createContext<UserSession | undefined>(undefined);
export const SessionProvider = SessionContext.Provider;

/** Returns the session of the signed-in user. */
export function useSession(): UserSession {
  const session = useContext(SessionContext);
  if (!session) throw new Error('No user is signed in.');
  return session;
}
