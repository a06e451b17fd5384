import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { Duplex } from 'node:stream';

/** Everything listens here only, so that others cannot reach it; but for DynamoDB Local, which takes no such option. */
export const HOST = '127.0.0.1';

/** Thrown where a port that was asked for cannot be had. Its message is meant for the user. */
export class PortError extends Error {}

/** Which port to listen on: the usual one or, where that is taken, any free one; or exactly this one. */
export type PortChoice = { readonly usual: number } | { readonly exactly: number };

export interface Listening {
  readonly url: string;
  readonly port: number;
  /** Ends at once, whatever is still open. */
  close(): Promise<void>;
}

/** Takes a connection over that is to become something else than HTTP, such as a WebSocket. */
export type UpgradeListener = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

/** Starts an HTTP server on the loopback interface. */
export async function listen(
  handler: RequestListener,
  choice: PortChoice,
  onUpgrade?: UpgradeListener,
): Promise<Listening> {
  const server = createServer(handler);
  if (onUpgrade) server.on('upgrade', onUpgrade);
  // Longer than clients keep an idle connection: the side that closes first must be theirs, or their next request is lost.
  server.keepAliveTimeout = 65_000;
  await listenOn(server, choice);
  const port = portOf(server);
  return { url: `http://${HOST}:${port}`, port, close: () => closeServer(server) };
}

/**
 * A port that is free at this moment, for a server that cannot be asked to find one for itself.
 * Binds all interfaces, as such a server may do.
 */
export async function findPort(usual: number): Promise<number> {
  const server = createServer();
  await listenOn(server, { usual }, '0.0.0.0');
  const port = portOf(server);
  await closeServer(server);
  return port;
}

async function listenOn(server: Server, choice: PortChoice, host = HOST): Promise<void> {
  const attempt = (port: number): Promise<void> =>
    new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, () => {
        server.off('error', reject);
        resolve();
      });
    });
  try {
    await attempt('exactly' in choice ? choice.exactly : choice.usual);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code !== 'EADDRINUSE' && code !== 'EACCES') throw error;
    if (!('exactly' in choice)) return attempt(0);
    throw new PortError(
      code === 'EADDRINUSE'
        ? `Port ${choice.exactly} is taken by another program; choose another one with --port, or leave it out to get a free one.`
        : `Port ${choice.exactly} may not be used by you; choose one above 1023 with --port.`,
    );
  }
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The server has no port.');
  return address.port;
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
