import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { Duplex } from 'node:stream';

/** All servers listen on this address only, so that other machines cannot reach them. */
export const HOST = '127.0.0.1';

/** Thrown if a requested port is not available. Its message is for the user. */
export class PortError extends Error {}

export interface Listening {
  readonly url: string;
  readonly port: number;
  /** Closes the server and all open connections immediately. */
  close(): Promise<void>;
}

/** Handles a connection that is upgraded to another protocol, such as WebSocket. */
export type UpgradeListener = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

/**
 * Starts an HTTP server on the loopback interface.
 *
 * @param port 0 for any free port
 * @throws PortError if the port is not available
 */
export async function listen(handler: RequestListener, port: number, onUpgrade?: UpgradeListener): Promise<Listening> {
  const server = createServer(handler);
  if (onUpgrade) server.on('upgrade', onUpgrade);
  // Longer than clients keep an idle connection: if the server closed first, the client's next request could be lost.
  server.keepAliveTimeout = 65_000;
  await listenOn(server, port);
  const taken = portOf(server);
  return { url: `http://${HOST}:${taken}`, port: taken, close: () => closeServer(server) };
}

/**
 * Returns a free port, for a server that cannot report the one that it found.
 *
 * @param port 0 for any free port
 * @throws PortError if the port is not available
 */
export async function findPort(port: number): Promise<number> {
  const server = createServer();
  await listenOn(server, port);
  const found = portOf(server);
  await closeServer(server);
  return found;
}

async function listenOn(server: Server, port: number): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, HOST, () => {
        server.off('error', reject);
        resolve();
      });
    });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'EADDRINUSE') throw new PortError(`Port ${port} is taken by another program.`);
    if (code === 'EACCES') throw new PortError(`You have no permission to use port ${port}. Choose a port above 1023.`);
    throw error;
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
