import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { RoomsClient } from '../../client/src/index.ts';
import { requestToken } from '../../local/oidc/oidc-issuer.ts';
import { npmStart, type RunningStack, restartablePort } from '../e2e/npm-start.ts';
import { findChromium, NO_CHROMIUM, sayNoChromium, startChromium } from './chromium.ts';
import { gone, shown } from './stage.ts';
import { enter, messageField, messages, say, signIn, visit } from './visitor.ts';

const chromium = await findChromium();
if (!chromium) sayNoChromium('Open tabs during a restart of the service are not tested.');

describe.skipIf(!chromium)(chromium ? 'a restart of the service' : `a restart (skipped: ${NO_CHROMIUM})`, () => {
  let stack: RunningStack | undefined;
  let browser: Browser;
  let data: string;

  beforeAll(async () => {
    data = await mkdtemp(join(tmpdir(), 'rooms-restart-'));
    browser = await startChromium(chromium ?? '');
  });
  afterAll(async () => {
    await browser?.close();
    await stack?.close();
    await rm(data, { recursive: true, force: true });
  });

  const clientOf = ({ http, ws, issuer }: RunningStack, user: string): RoomsClient =>
    new RoomsClient({ url: http, wsUrl: ws, token: () => requestToken(issuer, user) });

  test('open tabs reconnect, and show the messages that were written during the restart', async () => {
    const first = await npmStart({ port: restartablePort(), args: ['--data', data] });
    stack = first;
    const { room_id } = await clientOf(first, 'alice').createRoom({ name: 'Night shift', participant_ids: ['bob'] });
    const [alice, bob] = await Promise.all([signIn(browser, first.http, 'alice'), signIn(browser, first.http, 'bob')]);
    await Promise.all([enter(alice, 'Night shift'), enter(bob, 'Night shift')]);
    const connection = await clientOf(first, 'bob').connect();
    onTestFinished(() => connection.close());
    await connection.join(room_id);
    await say(alice, 'Before the restart');
    await shown(messages(bob, 'Before the restart'));
    await first.close();
    await shown(alice.page.getByText('Connection lost.'));
    await shown(alice.page.getByRole('button', { name: 'Retry now' }));
    await say(alice, 'During the restart');
    await messageField(bob).fill('Half a sentence');
    // This tab is opened during the restart.
    const carol = await visit(browser, 'about:blank', 'carol');

    stack = await npmStart({ port: null, args: ['--data', data] });
    expect(stack.http).toBe(first.http);
    const ready = Date.now();
    const since = (): number => Date.now() - ready;
    const sdk = new Promise<number>((resolve) => {
      if (connection.state === 'connected') resolve(since());
      else connection.once('connected', () => resolve(since()));
    });
    await shown(messages(bob, 'During the restart'));
    const tabs = since();
    // client/README.md quotes these numbers.
    process.stderr.write(
      `After the service, open tabs were back in ${tabs} ms, the SDK in Node.js in ${await sdk} ms.\n`,
    );
    await gone(alice.page.getByText('Connection lost.'));
    expect(await messageField(bob).inputValue()).toBe('Half a sentence');
    await messageField(bob).press('Enter');
    await shown(messages(alice, 'Half a sentence'));
    expect(await alice.page.getByRole('article').count()).toBe(3);
    expect((await clientOf(stack, 'bob').getRoom(room_id)).status).toBe('started');
    await carol.context.close();
  });

  test('a tab recovers if the service restarts without the data of its room', async () => {
    if (!stack) throw new Error('The first test has started no stack.');
    const { http } = stack;
    const alice = await signIn(browser, http, 'alice');
    await enter(alice, 'Night shift');
    await stack.close();
    await shown(alice.page.getByText('Connection lost.'));
    // The new stack has the same port, other keys, and no rooms.
    stack = await npmStart({ port: Number(new URL(http).port) });
    await gone(alice.page.getByText('Connection lost.'));
    await shown(alice.page.getByText('You are not in a room yet.'));
    const { room_id } = await clientOf(stack, 'bob').createRoom({ name: 'Day shift', participant_ids: ['alice'] });
    await enter(alice, 'Day shift');
    await say(alice, 'Good morning');
    await shown(messages(alice, 'Good morning').filter({ hasText: 'Sent' }));
    expect((await clientOf(stack, 'bob').listMessages(room_id)).items.length).toBe(1);
  });
});
