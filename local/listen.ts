import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { Duplex } from 'node:stream';

/** Everything listens here only, so that other machines cannot reach it. */
export const HOST = '127.0.0.1';

/** Thrown where a port that was asked for cannot be had. Its message is meant for the user. */
export class PortError extends Error {}

export interface Listening {
  readonly url: string;
  readonly port: number;
  /** Ends at once, whatever is still open. */
  close(): Promise<void>;
}

/** Takes a connection over that is to become something else than HTTP, such as a WebSocket. */
export type UpgradeListener = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

/**
 * Starts an HTTP server on the loopback interface.
 *
 * @param port 0 for any free port
 * @throws PortError where the port cannot be had
 */
export async function listen(handler: RequestListener, port: number, onUpgrade?: UpgradeListener): Promise<Listening> {
  const server = createServer(handler);
  if (onUpgrade) server.on('upgrade', onUpgrade);
  // Longer than clients keep an idle connection: the side that closes first must be theirs, or their next request is lost.
  server.keepAliveTimeout = 65_000;
  await listenOn(server, port);
  const taken = portOf(server);
  return { url: `http://${HOST}:${taken}`, port: taken, close: () => closeServer(server) };
}

/**
 * Returns a port that is free at this moment, for a server that cannot report the one it found.
 *
 * @param port 0 for any free port
 * @throws PortError where the port cannot be had
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
    if (code === 'EACCES')
      throw new PortError(`Port ${port} needs more rights than you have; ports above 1023 do not.`);
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
