import type { Browser, BrowserContextOptions, Locator } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { type Connection, type LiveRoom, RoomsClient } from '../../client/src/index.ts';
import { requestToken } from '../../local/oidc/oidc-issuer.ts';
import { npmStart, type RunningStack } from '../e2e/npm-start.ts';
import { startChromium } from './chromium.ts';
import { enter, signIn, type Visitor, visit } from './visitor.ts';

/** A running stack, a browser, and common steps for tests of the web client. */
export interface Stage {
  readonly stack: RunningStack;
  readonly browser: Browser;
  /** Signs in, in a new browser context. */
  come(name: string, options?: BrowserContextOptions): Promise<Visitor>;
  /** Opens the sign-in page, in a new browser context. */
  arrive(name: string, options?: BrowserContextOptions): Promise<Visitor>;
  clientOf(user: string): RoomsClient;
  /** Joins a room with the SDK, without a browser. Disconnects at the end of the test. */
  joinAs(user: string, roomId: string): Promise<LiveRoom>;
  /** Creates a room of Alice with Bob as a participant. Nobody joins it. */
  newRoom(more?: { name?: string; description?: string; start_time?: string; end_time?: string }): Promise<{
    readonly name: string;
    readonly room_id: string;
  }>;
  /** Creates a room, signs in Alice and Bob, and joins both. */
  meeting(): Promise<{
    readonly name: string;
    readonly room_id: string;
    readonly alice: Visitor;
    readonly bob: Visitor;
  }>;
}

/** Starts a stack and a browser for the tests of a file. A test fails if a page has reported an error or a warning. */
export function useStage(executablePath: string | undefined, args: readonly string[] = []): Stage {
  let stack: RunningStack | undefined;
  let browser: Browser | undefined;
  const visitors: Visitor[] = [];
  const connections: Connection[] = [];

  beforeAll(async () => {
    [stack, browser] = await Promise.all([npmStart({ args }), startChromium(executablePath ?? '')]);
  });
  afterEach(async () => {
    for (const connection of connections.splice(0)) connection.close();
    const leaving = visitors.splice(0);
    for (const { context } of leaving) await context.close();
    expect(leaving.flatMap(({ name, problems }) => problems.map((problem) => `${name}: ${problem}`))).toEqual([]);
  });
  afterAll(async () => {
    await browser?.close();
    await stack?.close();
  });

  const running = <Value>(value: Value | undefined): Value => {
    if (value === undefined) throw new Error('The stack is not running yet.');
    return value;
  };
  const clientOf = (user: string): RoomsClient => {
    const { http, ws, issuer } = running(stack);
    return new RoomsClient({ url: http, wsUrl: ws, token: () => requestToken(issuer, user) });
  };
  async function come(name: string, options?: BrowserContextOptions): Promise<Visitor> {
    const visitor = await signIn(running(browser), running(stack).http, name, options);
    visitors.push(visitor);
    return visitor;
  }
  let rooms = 0;
  const newRoom: Stage['newRoom'] = async (more = {}) => {
    const name = more.name ?? `Room ${++rooms}.`;
    const { room_id } = await clientOf('alice').createRoom({ participant_ids: ['bob'], ...more, name });
    return { name, room_id };
  };

  return {
    get stack() {
      return running(stack);
    },
    get browser() {
      return running(browser);
    },
    come,
    async arrive(name, options) {
      const visitor = await visit(running(browser), running(stack).http, name, options);
      visitors.push(visitor);
      return visitor;
    },
    clientOf,
    async joinAs(user, roomId) {
      const connection = await clientOf(user).connect();
      connections.push(connection);
      return connection.join(roomId);
    },
    newRoom,
    async meeting() {
      const room = await newRoom();
      const [alice, bob] = await Promise.all([come('alice'), come('bob')]);
      await Promise.all([enter(alice, room.name), enter(bob, room.name)]);
      return { ...room, alice, bob };
    },
  };
}

export const shown = (locator: Locator): Promise<void> => locator.waitFor();
export const gone = (locator: Locator): Promise<void> => locator.waitFor({ state: 'detached' });
export const evaluate = (visitor: Visitor, script: string): Promise<unknown> => visitor.page.evaluate(script);
/** Waits until the script evaluates to true in the page. */
export const becomes = async (visitor: Visitor, script: string): Promise<void> => {
  // The page's Content Security Policy blocks Playwright's waitForFunction.
  await expect.poll(() => evaluate(visitor, script), { timeout: 90_000 }).toBe(true);
};
