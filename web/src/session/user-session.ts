import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import { type ConnectionState, RoomsClient } from '../../../client/src/index.ts';
import { createStore, type Store } from '../store.ts';
import type { Config } from './config.ts';
import { sayError } from './errors.ts';
import { type RoomList, roomList } from './room-list.ts';
import { tokenSource } from './tokens.ts';

/** `failed`: the first connection did not come about, and nobody is trying any more. */
export type Online = ConnectionState | 'failed';

/** What one user has on this page. */
export interface UserSession {
  readonly userId: string;
  readonly client: RoomsClient;
  readonly rooms: RoomList;
  readonly online: Store<Online>;
  /** The last thing that went wrong outside a form, to be shown for a while. */
  readonly trouble: Store<{ readonly text: string } | undefined>;
  connect(): void;
  /** Does something, and shows what goes wrong. True where nothing did. */
  attempt(action: () => Promise<unknown>): Promise<boolean>;
  close(): void;
}

export function startSession({ http, ws, issuer }: Config, userId: string): UserSession {
  const client = new RoomsClient({ url: http, wsUrl: ws, token: tokenSource(issuer, userId) });
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
    } catch {
      online.update(() => 'failed');
    }
  }
  void open();
  const rooms = roomList(client);

  return {
    userId,
    client,
    rooms,
    online,
    trouble,
    connect: () => void open(),
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
      rooms.close();
      closing.abort();
    },
  };
}

const SessionContext = createContext<UserSession | undefined>(undefined);
export const SessionProvider = SessionContext.Provider;

/** The session of the user whom the page is shown to. */
export function useSession(): UserSession {
  const session = useContext(SessionContext);
  if (!session) throw new Error('Nobody has signed in.');
  return session;
}
