import { readFile } from 'node:fs/promises';
import * as v from 'valibot';
import { requestToken } from '../../local/oidc/oidc-issuer.ts';

/** What the scenarios run against. */
export interface Backend {
  readonly url: string;
  readonly wsUrl: string;
  /** True where broadcasts leave in the order in which messages are stored. */
  readonly ordered: boolean;
  /** An access token of that user. */
  token(user: string): Promise<string>;
  close(): Promise<void>;
}

const Endpoints = v.object({ http: v.string(), ws: v.string(), issuer: v.string() });

/**
 * The running local stack, where ROOMS_TEST_ENDPOINTS names its endpoints.json; else what `start` starts.
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
