import { readFileSync } from 'node:fs';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import type { Browser } from 'playwright-core';
import * as v from 'valibot';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RoomsClient } from '../../client/src/index.ts';
import { findChromium, sayNoChromium, startChromium } from '../browser/chromium.ts';
import { enter, messages, say, type Visitor, visit } from '../browser/visitor.ts';
import { npm, npmStart, type RunningStack } from '../e2e/npm-start.ts';
import { type Keycloak, OutOfReach, startKeycloak } from './server.ts';

/*
 * Sets up a real Keycloak as described in docs/guides/keycloak.md, and runs the local stack with its tokens. Each test depends on the
 * previous one.
 */

const REALM = 'ucs';
const USER = { username: 'anna', password: 'a long password' };
/** Origin of the front end in the documented client. */
const DOCUMENTED_ORIGIN = 'https://ops.example.com';

const chromium = await findChromium();
if (!chromium) sayNoChromium('The tests with Keycloak are skipped.');
const keycloak = chromium && (await startUnlessOutOfReach());

async function startUnlessOutOfReach(): Promise<Keycloak | undefined> {
  try {
    return await startKeycloak();
  } catch (error) {
    if (!(error instanceof OutOfReach)) throw error;
    process.stderr.write(`The tests with Keycloak are skipped. ${error.message}\n`);
    return undefined;
  }
}

/** Returns the JSON documents of the guide, with `origin` as the origin of the front end. */
const documented = (origin: string): unknown[] => {
  const page = readFileSync(new URL('../../docs/guides/keycloak.md', import.meta.url), 'utf8').replaceAll(
    DOCUMENTED_ORIGIN,
    origin,
  );
  return [...page.matchAll(/^```json\n([\s\S]*?)^```$/gm)].map(([, json = '']): unknown => JSON.parse(json));
};

const withId = v.array(v.looseObject({ id: v.string() }));
const tokens = v.object({ access_token: v.string(), refresh_token: v.optional(v.string()) });
type Tokens = v.InferOutput<typeof tokens>;

describe.skipIf(!keycloak)('a Keycloak realm', () => {
  const server = keycloak || { url: '', admin: unavailable, close: unavailable };
  const issuer = `${server.url}/realms/${REALM}`;
  let stack: RunningStack;
  let browser: Browser;
  let anna: Visitor;
  let userId = '';
  let first: Tokens;

  beforeAll(async () => {
    await server.admin('POST', '/realms', { realm: REALM, enabled: true });
    [stack, browser] = await Promise.all([
      npmStart({ args: ['--issuer', issuer] }),
      startChromium(chromium ?? unavailable()),
    ]);
  });
  afterAll(async () => {
    await browser?.close();
    await stack?.close();
    await server.close();
  });

  const overHttp = (token: string) =>
    fetch(`${stack.http}/participant/room`, { headers: { authorization: `Bearer ${token}` } });
  const askForTokens = (form: Record<string, string>) =>
    fetch(`${issuer}/protocol/openid-connect/token`, { method: 'POST', body: new URLSearchParams(form) });
  const clientOf = (token: string) => new RoomsClient({ url: stack.http, wsUrl: stack.ws, token: () => token });
  /** Checks that both APIs accept the token and identify the same user. */
  const expectAccepted = async (token: string): Promise<void> => {
    const client = clientOf(token);
    const { room_id, created_by } = await client.createRoom({ name: 'A room' });
    expect(created_by).toBe(decodeJwt(token).sub);
    const room = await client.join(room_id);
    expect((await room.send({ text: 'Hello' })).sender_id).toBe(created_by);
    (await client.connect()).close();
  };

  test('imports the client scope and the client that docs/guides/keycloak.md shows', async () => {
    const [scope, client] = documented(stack.http).map((each) => v.parse(v.looseObject({}), each));
    await server.admin('POST', `/realms/${REALM}/client-scopes`, scope);
    await server.admin('POST', `/realms/${REALM}/clients`, client);
    await server.admin('POST', `/realms/${REALM}/users`, {
      ...{ username: USER.username, enabled: true, emailVerified: true },
      ...{ email: 'anna@example.com', firstName: 'Anna', lastName: 'Example' },
      credentials: [{ type: 'password', value: USER.password, temporary: false }],
    });
    const [user] = v.parse(withId, await server.admin('GET', `/realms/${REALM}/users?username=${USER.username}`));
    userId = user?.id ?? '';
  });

  const signIn = async (visitor: Visitor): Promise<void> => {
    await visitor.page.getByRole('button', { name: 'Sign in' }).click();
    await visitor.page.locator('#username').fill(USER.username);
    await visitor.page.locator('#password').fill(USER.password);
    await visitor.page.locator('#kc-login').click();
  };

  test('lets a user sign in to the web client, which calls both APIs', async () => {
    anna = await visit(browser, stack.http, USER.username);
    await signIn(anna);
    const { page } = anna;
    await page.getByRole('heading', { name: 'Your rooms' }).waitFor();
    // The parameters `code` and `state` are removed from the URL.
    expect(new URL(page.url()).search).toBe('');
    const stored = await page.evaluate(
      'Object.entries(sessionStorage).find(([key]) => key.startsWith("oidc.user:"))?.[1]',
    );
    first = v.parse(v.pipe(v.string(), v.parseJson(), tokens), stored);
    expect(decodeJwt(first.access_token)).toMatchObject({ iss: issuer, sub: userId, azp: 'rooms-web' });

    await clientOf(first.access_token).createRoom({ name: 'Night shift' });
    await enter(anna, 'Night shift');
    await say(anna, 'Signed in at Keycloak');
    await messages(anna, 'Signed in at Keycloak').waitFor();
    await page.reload();
    await messages(anna, 'Signed in at Keycloak').waitFor();
    expect(anna.problems.filter((problem) => problem.startsWith('security policy'))).toEqual([]);
    await expectAccepted(first.access_token);
  });

  test('renews tokens by their refresh token', async () => {
    const answer = await askForTokens({
      ...{ grant_type: 'refresh_token', client_id: 'rooms-web', refresh_token: first.refresh_token ?? '' },
    });
    expect(answer.status).toBe(200);
    const renewed = v.parse(tokens, await answer.json());
    expect(renewed.access_token).not.toBe(first.access_token);
    await expectAccepted(renewed.access_token);
    first = { ...renewed, access_token: first.access_token };
  });

  test('rotates its keys: tokens of the new and of the old key are accepted', async () => {
    const realm = v.parse(v.looseObject({ id: v.string() }), await server.admin('GET', `/realms/${REALM}`));
    await server.admin('POST', `/realms/${REALM}/components`, {
      ...{ name: 'rotated', providerId: 'rsa-generated', providerType: 'org.keycloak.keys.KeyProvider' },
      parentId: realm.id,
      config: { priority: ['200'], algorithm: ['RS256'], keySize: ['2048'] },
    });
    const answer = await askForTokens({
      ...{ grant_type: 'refresh_token', client_id: 'rooms-web', refresh_token: first.refresh_token ?? '' },
    });
    const rotated = v.parse(tokens, await answer.json());
    expect(decodeProtectedHeader(rotated.access_token).kid).not.toBe(decodeProtectedHeader(first.access_token).kid);
    // The authorizer limits how often it reloads keys, so the new key can be rejected at first.
    await expect.poll(async () => (await overHttp(rotated.access_token)).status, { timeout: 90_000 }).toBe(200);
    await expectAccepted(rotated.access_token);
    await expectAccepted(first.access_token);
    first = { ...first, refresh_token: rotated.refresh_token };
  });

  test('issues tokens for service accounts, which need the scope "rooms"', async () => {
    const credentials = { client_id: 'ucs-backend', client_secret: 'a secret' };
    const serviceToken = async (scopes: readonly string[]): Promise<string> => {
      const [before] = v.parse(withId, await server.admin('GET', `/realms/${REALM}/clients?clientId=ucs-backend`));
      if (before) await server.admin('DELETE', `/realms/${REALM}/clients/${before.id}`);
      await server.admin('POST', `/realms/${REALM}/clients`, {
        ...{ clientId: credentials.client_id, secret: credentials.client_secret, defaultClientScopes: scopes },
        ...{ serviceAccountsEnabled: true, standardFlowEnabled: false, fullScopeAllowed: false },
      });
      const answer = await askForTokens({ grant_type: 'client_credentials', ...credentials });
      return v.parse(tokens, await answer.json()).access_token;
    };
    expect((await overHttp(await serviceToken(['basic']))).status).toBe(401);
    await expectAccepted(await serviceToken(['basic', 'rooms']));
  });

  test('disables a user: no new tokens; an issued token is valid until it expires', async () => {
    await server.admin('PUT', `/realms/${REALM}/users/${userId}`, { enabled: false });
    const answer = await askForTokens({
      ...{ grant_type: 'refresh_token', client_id: 'rooms-web', refresh_token: first.refresh_token ?? '' },
    });
    expect(answer.status).toBe(400);
    await expectAccepted(first.access_token);
    const again = await visit(browser, stack.http, USER.username);
    await signIn(again);
    await again.page.getByText('Account is disabled').waitFor();
  });

  test('commands that need the local issuer fail with an explanation', async () => {
    for (const script of ['token', 'demo']) {
      const args = script === 'token' ? ['alice'] : [];
      const { code, stderr } = await npm('run', '-s', script, '--', ...args, '--state-dir', stack.stateDirectory).ended;
      expect(code).toBe(1);
      expect(stderr).toContain(`accepts the tokens of ${issuer}`);
    }
  });
});

function unavailable(): never {
  throw new Error('These tests are skipped.');
}
