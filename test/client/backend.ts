import { readFile } from 'node:fs/promises';
import * as v from 'valibot';
import { requestToken } from '../../local/oidc/oidc-issuer.ts';

/** The service under test: the local stack or an in-memory server. */
export interface Backend {
  readonly url: string;
  readonly wsUrl: string;
  /** Whether messages are broadcast in the order in which they are stored. */
  readonly ordered: boolean;
  /** Returns an access token for the user. */
  token(user: string): Promise<string>;
  close(): Promise<void>;
}

const Endpoints = v.object({ http: v.string(), ws: v.string(), issuer: v.string() });

/**
 * Connects to the running local stack whose endpoints.json is named by ROOMS_TEST_ENDPOINTS. Without that variable, calls `start`.
 * Example: ROOMS_TEST_ENDPOINTS=.local/4000/endpoints.json npm test -- --project client
 */
export async function backend<Own extends Backend>(start: () => Promise<Own>): Promise<Own | Backend> {
  const file = process.env.ROOMS_TEST_ENDPOINTS;
  if (!file) return start();
  const { http, ws, issuer } = v.parse(Endpoints, JSON.parse(await readFile(file, 'utf8')));
  return {
    url: http,
    wsUrl: ws,
    ordered: false,
    token: (user) => requestToken(issuer, user),
    close: async () => {},
  };
}
