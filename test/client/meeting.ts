import { afterEach, beforeEach } from 'vitest';
import { type Connection, RoomsApiError, RoomsClient, type RoomsClientOptions } from '../../client/src/index.ts';
import { breakableWay, type Way } from './faults.ts';
import { startWireServer, unsignedToken, type WireServer } from './wire-server.ts';

/** Time limits that are short enough for tests, and no longer than in production. */
export const QUICK = {
  replyMs: 500,
  openMs: 2_000,
  retryInitialMs: 5,
  reconnectInitialMs: 5,
  reconnectMaxMs: 100,
} satisfies Partial<RoomsClientOptions>;

export interface Meeting {
  readonly alice: RoomsClient;
  readonly connection: Connection;
  readonly room_id: string;
  /** Bob connects directly to the server, so his connection is never interrupted. */
  readonly bob: RoomsClient;
  readonly bobs: Connection;
}

/** Starts a wire server for each test of a file, and a proxy that can interrupt connections to it. */
export function wireServers() {
  let server: WireServer;
  let way: Way;
  const open: Connection[] = [];
  beforeEach(async () => {
    server = await startWireServer();
    way = await breakableWay(server.wsUrl);
  });
  afterEach(async () => {
    for (const connection of open.splice(0)) connection.close();
    await way.close();
    await server.close();
  });
  const clientOf = (user: string, options: Partial<RoomsClientOptions> = {}) =>
    new RoomsClient({ url: server.url, wsUrl: way.url, token: () => unsignedToken(user), ...QUICK, ...options });
  async function connect(client: RoomsClient): Promise<Connection> {
    const connection = await client.connect();
    open.push(connection);
    return connection;
  }
  return {
    get server() {
      return server;
    },
    get way() {
      return way;
    },
    clientOf,
    connect,
    /** Creates a room of Alice with Bob as a participant, and connects both. */
    async meeting(options: Partial<RoomsClientOptions> = {}): Promise<Meeting> {
      const alice = clientOf('alice', options);
      const bob = clientOf('bob', { wsUrl: server.wsUrl });
      const { room_id } = await alice.createRoom({ name: 'Meeting', participant_ids: ['bob'] });
      return { alice, bob, room_id, connection: await connect(alice), bobs: await connect(bob) };
    },
  };
}

/** Returns the code with which a call rejects. Returns any other error itself. */
export const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'no error',
    (error: unknown) => (error instanceof RoomsApiError ? error.code : error),
  );
