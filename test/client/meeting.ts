import { afterEach, beforeEach } from 'vitest';
import { type Connection, RoomsApiError, RoomsClient, type RoomsClientOptions } from '../../client/src/index.ts';
import { breakableWay, type Way } from './faults.ts';
import { startWireServer, unsignedToken, type WireServer } from './wire-server.ts';

/** Waits that are short enough for tests, and none longer than in production. */
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
  /** Bob's own way to the server is never broken. */
  readonly bob: RoomsClient;
  readonly bobs: Connection;
}

/** A wire server for each test of a file, with a way to it that can be broken. */
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
    /** Alice's room, with Bob in it, and both connected. */
    async meeting(options: Partial<RoomsClientOptions> = {}): Promise<Meeting> {
      const alice = clientOf('alice', options);
      const bob = clientOf('bob', { wsUrl: server.wsUrl });
      const { room_id } = await alice.createRoom({ name: 'Meeting', participant_ids: ['bob'] });
      return { alice, bob, room_id, connection: await connect(alice), bobs: await connect(bob) };
    },
  };
}

/** The code of the error that a call rejects with; any other error as it is. */
export const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'no error',
    (error: unknown) => (error instanceof RoomsApiError ? error.code : error),
  );
