import { UsageError } from '../../tools/cli/usage-error.ts';
import { findPort, type Listening, PortError } from '../listen.ts';

/** The ports of one stack. 0 is any free port. */
export interface Ports {
  readonly http: number;
  readonly issuer: number;
  readonly s3: number;
  readonly dynamodb: number;
  readonly ws: number;
  readonly aws: number;
}

/** The default port of the HTTP API. README.md mentions it. */
export const DEFAULT_PORT = 4000;
/** Number of stacks that can run without `--port`: on 4000, 4010, and so on up to 4090. */
const BLOCKS = 10;
const BLOCK_SIZE = 10;
/** The highest allowed port of the HTTP API. The other parts use the next five ports. */
export const MAX_PORT = 65_530;

const ANY: Ports = { http: 0, issuer: 0, s3: 0, dynamodb: 0, ws: 0, aws: 0 };

/** Returns the ports of a stack whose HTTP API is at `http`: the other parts have the next five. */
export const portsFrom = (http: number): Ports =>
  http === 0 ? ANY : { http, issuer: http + 1, s3: http + 2, dynamodb: http + 3, ws: http + 4, aws: http + 5 };

/**
 * Chooses the ports of a stack and opens that of the HTTP API, which keeps other stacks from choosing the same.
 *
 * @param port the requested port of the HTTP API; 0 for any free ports.
 * @param kept the ports of the last run with the same data, used if the user did not request any.
 * @throws PortError if the requested or kept HTTP port is not available.
 */
export async function claimPorts(
  { port, kept }: { port?: number | undefined; kept?: Ports | undefined },
  listenHttp: (port: number) => Promise<Listening>,
): Promise<{ readonly ports: Ports; readonly http: Listening }> {
  const fixed = port === undefined ? kept : portsFrom(port);
  if (fixed) return { ports: fixed, http: await listenHttp(fixed.http) };
  for (let block = 0; block < BLOCKS; block++) {
    const ports = portsFrom(DEFAULT_PORT + block * BLOCK_SIZE);
    const http = await orUndefined(listenHttp(ports.http));
    if (!http) continue;
    if (await areFree(ports)) return { ports, http };
    await http.close();
  }
  return { ports: ANY, http: await listenHttp(0) };
}

/** Returns whether all ports except that of the HTTP API are free. */
async function areFree({ http: _, ...others }: Ports): Promise<boolean> {
  for (const port of Object.values(others)) if ((await orUndefined(findPort(port))) === undefined) return false;
  return true;
}

async function orUndefined<T>(attempt: Promise<T>): Promise<T | undefined> {
  try {
    return await attempt;
  } catch (error) {
    if (error instanceof PortError) return undefined;
    throw error;
  }
}

/** Parses the value of `--port`; returns undefined if it is missing. */
export function portOption(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= MAX_PORT))
    throw new UsageError(`--port must be a number from 0 to ${MAX_PORT}, not ${JSON.stringify(text)}.`);
  return port;
}
