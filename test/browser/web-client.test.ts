import { describe, expect, test } from 'vitest';
import { findChromium, NO_CHROMIUM, sayNoChromium } from './chromium.ts';
import { picture } from './picture.ts';
import { becomes, evaluate, gone, shown, useStage } from './stage.ts';
import { choose, enter, messageField, messages, person, say, type Visitor, visit } from './visitor.ts';

/** Script that returns whether the log is scrolled to the newest message. */
const AT_END = `(({ scrollTop, clientHeight, scrollHeight }) => scrollHeight - clientHeight - scrollTop < 5)(
  document.querySelector('[role=log]'))`;

const chromium = await findChromium();
if (!chromium) sayNoChromium('The web client is not tested.');

describe.skipIf(!chromium)(chromium ? 'the web client' : `the web client (skipped: ${NO_CHROMIUM})`, () => {
  const stage = useStage(chromium);
  const { come, arrive, clientOf, joinAs, newRoom, meeting } = stage;

  test('is served with correct media types and a policy that blocks foreign scripts', async () => {
    const served = async (path: string) => (await fetch(stage.stack.http + path)).headers;
    expect((await served('/')).get('content-type')).toBe('text/html; charset=utf-8');
    expect((await served('/web/main.js')).get('content-type')).toBe('text/javascript; charset=utf-8');
    expect((await served('/web/main.css')).get('content-type')).toBe('text/css; charset=utf-8');
    const policy = (await served('/')).get('content-security-policy') ?? '';
    expect(policy.split('; ')).toEqual(
      expect.arrayContaining(["default-src 'none'", "script-src 'self'", "require-trusted-types-for 'script'"]),
    );
    expect(policy).not.toContain('unsafe');
    const config = await fetch(`${stage.stack.http}/_local/config.json`);
    expect(await config.json()).toEqual({ http: stage.stack.http, ws: stage.stack.ws, issuer: stage.stack.issuer });

    const visitor = await visit(stage.browser, stage.stack.http, 'intruder');
    await evaluate(
      visitor,
      `document.body.append(Object.assign(document.createElement('script'), { text: 'hacked = 1' }))`,
    ).catch(() => {});
    expect(await evaluate(visitor, 'typeof hacked')).toBe('undefined');
    expect(visitor.problems.join()).toContain('require-trusted-types-for');
    await visitor.context.close();
  });

  test('two users see each other join, write and leave', async () => {
    const alice = await come('alice');
    const room = 'Night shift 12';
    await alice.page.getByRole('button', { name: 'New room' }).click();
    await alice.page.getByLabel('Name').fill(room);
    await alice.page.getByRole('button', { name: 'Add bob' }).click();
    await alice.page.getByRole('button', { name: 'Create room' }).click();
    await shown(alice.page.getByText('There are no messages yet'));
    await shown(alice.page.getByText('Offline (1)'));

    const bob = await come('bob');
    await enter(bob, room);
    await shown(alice.page.getByText('Online (2)'));
    await shown(bob.page.getByText('Online (2)'));

    const markup = '<img src="/nowhere" onerror="hacked = 1"> **hello**';
    await say(alice, markup);
    await shown(messages(bob, markup));
    await shown(messages(alice, markup).filter({ hasText: 'Sent' }));
    await say(bob, 'Good evening, Alice 👋');
    await shown(messages(alice, 'Good evening, Alice 👋'));
    await shown(alice.page.locator('[aria-live=polite]', { hasText: 'bob: Good evening, Alice 👋' }));
    // Each message is shown once, whether it arrives by reply, broadcast or history.
    for (const visitor of [alice, bob]) expect(await visitor.page.getByRole('article').count()).toBe(2);
    expect(await evaluate(bob, 'typeof hacked')).toBe('undefined');

    await bob.page.getByRole('button', { name: 'Switch user' }).click();
    await shown(alice.page.getByText('Online (1)'));
    await shown(person(alice, 'bob'));
  });

  test('uploads a picture with a progress bar and shows it inline; other files can be downloaded', async () => {
    const { alice, bob } = await meeting();
    const file = picture(1_000, 700);
    const session = await alice.context.newCDPSession(alice.page);
    const slowly = { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: 1_500_000 };
    await session.send('Network.emulateNetworkConditions', slowly);
    await evaluate(
      alice,
      `globalThis.seen = []; new MutationObserver(() => {
        const bar = document.querySelector('progress');
        if (bar) seen.push(bar.value);
      }).observe(document.body, { subtree: true, childList: true, attributes: true });`,
    );
    const chooser = alice.page.waitForEvent('filechooser');
    await alice.page.getByRole('button', { name: 'Attach a file' }).click();
    await (await chooser).setFiles({ name: 'queue <b>7</b>.png', mimeType: 'image/png', buffer: file });
    await alice.page.getByRole('button', { name: 'Send', exact: true }).click();
    for (const visitor of [bob, alice]) {
      await shown(visitor.page.getByRole('img', { name: 'queue <b>7</b>.png' }));
      await becomes(visitor, `document.querySelector('article img').naturalWidth === 1000`);
    }
    await shown(messages(alice, 'Sent'));
    const values = (await evaluate(alice, '[...new Set(seen)]')) as number[];
    expect(values.length).toBeGreaterThan(2);
    expect(values).toEqual(values.toSorted((a, b) => a - b));
    expect(values.at(-1)).toBe(file.length);

    await session.send('Network.emulateNetworkConditions', { ...slowly, uploadThroughput: -1 });
    // One file is pasted, another is dropped.
    const transfer = (name: string) =>
      `(() => { const data = new DataTransfer(); data.items.add(new File(['${name}'], '${name}', { type: 'text/plain' })); return data; })()`;
    await evaluate(
      alice,
      `document.querySelector('.composer textarea').dispatchEvent(
        new ClipboardEvent('paste', { clipboardData: ${transfer('pasted.txt')}, bubbles: true, cancelable: true }))`,
    );
    await evaluate(
      alice,
      `document.querySelector('.chat').dispatchEvent(
        new DragEvent('drop', { dataTransfer: ${transfer('dropped.txt')}, bubbles: true, cancelable: true }))`,
    );
    await shown(alice.page.getByRole('list', { name: 'Files to send' }).getByText('dropped.txt'));
    await say(alice, 'Both files');
    await shown(messages(bob, 'pasted.txt').filter({ hasText: 'Both files' }));
    await shown(messages(bob, 'dropped.txt'));
    const download = bob.page.waitForEvent('download');
    await bob.page.getByRole('button', { name: /^Download dropped.txt/ }).click();
    expect((await download).suggestedFilename()).toBe('dropped.txt');
  });

  test('reports a failed upload, and can retry it', async () => {
    const { alice, bob } = await meeting();
    const isUpload = (url: URL): boolean => url.searchParams.has('X-Amz-Signature');
    await alice.page.route(isUpload, (route) =>
      route.request().method() === 'PUT'
        ? route.fulfill({
            status: 403,
            headers: { 'access-control-allow-origin': '*' },
            body: '<Code>AccessDenied</Code>',
          })
        : route.continue(),
    );
    await alice.page.locator('input[type=file]').setInputFiles({
      name: 'notes.txt',
      mimeType: 'text/plain',
      buffer: Buffer.from('notes'),
    });
    await say(alice, 'My notes');
    await shown(messages(alice, 'Not sent. The storage refused the upload'));
    await alice.page.unroute(isUpload);
    // The browser logs the 403 response as an error.
    expect(alice.problems.splice(0)).toEqual([expect.stringContaining('403')]);
    await alice.page.getByRole('button', { name: 'Retry' }).click();
    await shown(messages(bob, 'My notes').filter({ hasText: 'notes.txt' }));
    await gone(messages(alice, 'Not sent.'));
    expect(await messages(alice, 'My notes').count()).toBe(1);
  });

  test('sends several files in one message, in the order in which they were chosen', async () => {
    const { alice, bob } = await meeting();
    let uploads = 0;
    await alice.page.route(
      (url) => url.searchParams.has('X-Amz-Signature'),
      async (route) => {
        // Delays the first upload, so that it finishes last.
        if (route.request().method() === 'PUT')
          await new Promise((resolve) => setTimeout(resolve, uploads++ ? 0 : 1_500));
        await route.continue();
      },
    );
    const names = ['1.txt', '2.txt', '3.txt'];
    await alice.page
      .locator('input[type=file]')
      .setInputFiles(names.map((name) => ({ name, mimeType: 'text/plain', buffer: Buffer.from(name) })));
    await say(alice, 'Three files');
    await shown(messages(bob, 'Three files'));
    const seen = await bob.page.getByRole('article').allTextContents();
    expect(seen.map((text) => text.match(/\d\.txt/g))).toEqual([names]);
  });

  test('opens a room by "Try again" after a request has failed, and shows each event once', async () => {
    const room = await newRoom();
    const bob = await joinAs('bob', room.room_id);
    for (let number = 1; number <= 60; number++) await bob.send({ text: `Message number ${number}.` });
    const alice = await come('alice');
    const again = alice.page.getByRole('button', { name: 'Try again' }).last();
    for (const part of ['chat', 'participant']) {
      const isPart = (url: URL): boolean => url.pathname.endsWith(`/${room.room_id}/${part}`);
      await alice.page.route(isPart, (route) => route.fulfill({ status: 418, body: '{}' }));
      await (part === 'chat' ? alice.page.getByRole('link', { name: room.name }) : again).click();
      const said = part === 'chat' ? 'This room cannot be opened' : 'You are not in this room.';
      await shown(alice.page.getByText(said));
      await alice.page.unroute(isPart);
    }
    await again.click();
    await shown(messages(alice, 'Message number 60.'));
    await shown(alice.page.getByText('Online (2)'));
    // Only the newest page of history is shown.
    expect(await alice.page.getByRole('article').count()).toBe(50);
    await clientOf('alice').grantAdmin(room.room_id, 'bob');
    await shown(person(alice, 'bob').getByText('admin', { exact: true }));
    expect(await alice.page.locator('.notice').allTextContents()).toEqual(['bob is now an admin.']);
    // The browser logs the 418 responses as errors.
    expect(alice.problems.splice(0).every((problem) => problem.includes('418'))).toBe(true);
  });

  test('scrolling up loads earlier messages in order, and the visible messages do not move', async () => {
    const room = await newRoom();
    const bobs = await joinAs('bob', room.room_id);
    for (let number = 1; number <= 130; number++) await bobs.send({ text: `Message number ${number}.` });
    const alice = await come('alice');
    await enter(alice, room.name);
    await shown(messages(alice, 'Message number 130.'));
    // Screen readers get the sender of every message, although it is hidden visually for consecutive messages.
    expect(await messages(alice, 'Message number 130.').textContent()).toContain('bob:');
    expect(await alice.page.getByRole('article').count()).toBe(50);
    const log = alice.page.getByRole('log', { name: 'Messages' });
    const first = messages(alice, 'Message number 81.');
    await first.scrollIntoViewIfNeeded();
    await shown(messages(alice, 'Message number 31.'));
    // The first message is still visible after 50 messages were inserted above it.
    const [top, view] = [await first.boundingBox(), await log.boundingBox()];
    expect(top && view && top.y >= view.y - 1 && top.y < view.y + view.height).toBe(true);
    // Home scrolls smoothly, so the position must be polled.
    const atTop = `document.querySelector('[role=log]').scrollTop === 0`;
    await expect
      .poll(
        async () => {
          await log.press('Home');
          return (
            (await alice.page.getByText('This is the beginning of the room.').count()) > 0 &&
            (await evaluate(alice, atTop))
          );
        },
        { timeout: 60_000, interval: 300 },
      )
      .toBe(true);
    const texts = await alice.page.locator('article .text').allTextContents();
    expect(texts).toEqual(Array.from({ length: 130 }, (_, index) => `Message number ${index + 1}.`));
    // While the user is scrolled up, a button announces a new message and scrolls to it.
    await bobs.send({ text: 'The newest one' });
    await alice.page.getByRole('button', { name: 'New message' }).click();
    await becomes(alice, AT_END);
  });

  test('the newest messages stay visible while the message field grows', async () => {
    const room = await newRoom();
    const bob = await joinAs('bob', room.room_id);
    for (let number = 1; number <= 20; number++) await bob.send({ text: `Message number ${number}.` });
    const alice = await come('alice');
    await enter(alice, room.name);
    await shown(messages(alice, 'Message number 20.'));
    const height = async () => (await messageField(alice).boundingBox())?.height ?? 0;
    const low = await height();
    for (const line of ['one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine']) {
      await messageField(alice).pressSequentially(line);
      await messageField(alice).press('Shift+Enter');
      await becomes(alice, AT_END);
    }
    const high = await height();
    expect(high).toBeGreaterThan(low + 5 * 20);
    // The field has a maximum height, and shrinks again after sending.
    await messageField(alice).pressSequentially('ten');
    await becomes(alice, AT_END);
    expect(await height()).toBe(high);
    await messageField(alice).press('Enter');
    await shown(messages(alice, 'nine\nten'));
    expect(await height()).toBe(low);
    await becomes(alice, AT_END);
  });

  test('shows an outage, loses no message in it, and shows none twice', async () => {
    const room = await newRoom();
    const bob = await come('bob');
    await enter(bob, room.name);
    const alice = await arrive('alice');
    let cut = false;
    const lines = new Set<{ close(): Promise<void> }>();
    await alice.page.routeWebSocket(stage.stack.ws, (line) => {
      if (cut) return void line.close();
      line.connectToServer();
      lines.add(line);
    });
    await alice.page.reload();
    await alice.page.getByRole('button', { name: 'alice' }).click();
    await enter(alice, room.name);
    await say(alice, 'Before');
    await shown(messages(bob, 'Before'));

    cut = true;
    for (const line of lines) await line.close();
    await shown(alice.page.getByRole('status').getByText('Connection lost. Reconnecting'));
    await shown(alice.page.getByText('Participants (2)'));
    await say(alice, 'Into the void');
    await say(bob, 'Meanwhile');
    await shown(messages(bob, 'Meanwhile').filter({ hasText: 'Sent' }));
    await shown(messages(alice, 'Into the void').filter({ hasText: 'Sending…' }));
    expect(await messages(alice, 'Meanwhile').count()).toBe(0);

    cut = false;
    await shown(messages(alice, 'Meanwhile'));
    await shown(messages(bob, 'Into the void'));
    await gone(alice.page.getByText('Connection lost.'));
    for (const visitor of [alice, bob]) {
      await gone(visitor.page.getByText('Sending…'));
      expect(await visitor.page.locator('article .text').allTextContents()).toEqual([
        'Before',
        'Meanwhile',
        'Into the void',
      ]);
    }
  });

  test('stops connecting when the user signs out while the page is connecting', async () => {
    const room = await newRoom();
    const alice = await arrive('alice');
    let tries = 0;
    await alice.page.routeWebSocket(stage.stack.ws, (line) => {
      tries++;
      void line.close();
    });
    await alice.page.reload();
    await alice.page.getByRole('button', { name: 'alice' }).click();
    await alice.page.getByRole('link', { name: room.name }).click();
    await expect.poll(() => tries, { timeout: 30_000 }).toBeGreaterThan(2);
    await alice.page.getByRole('button', { name: 'Switch user' }).click();
    await shown(alice.page.getByLabel('Who are you?'));
    // One attempt can still be in progress.
    await alice.page.waitForTimeout(500);
    const before = tries;
    await alice.page.waitForTimeout(5_000);
    expect(tries).toBe(before);
  });

  test('a removed user sees it at once and cannot write, and can write again after being added', async () => {
    const { alice, bob, room_id } = await meeting();
    await choose(alice, 'Actions for bob', 'Make admin');
    await shown(bob.page.getByText('You are now an admin.').first());
    await shown(person(bob, 'bob').getByText('you · admin'));
    await choose(alice, 'Actions for bob', 'Remove…');
    await alice.page.getByRole('dialog', { name: 'Remove bob?' }).getByRole('button', { name: 'Remove' }).click();
    await shown(bob.page.getByText('You were removed from this room.').first());
    await gone(messageField(bob));
    await shown(alice.page.getByText('bob was removed.').first());
    await gone(person(alice, 'bob'));
    await shown(bob.page.getByRole('button', { name: 'Back to your rooms' }).last());

    // A hidden page does not poll, so the page can learn only by WebSocket that Bob was added.
    await evaluate(bob, `Object.defineProperty(document, 'hidden', { get: () => true })`);
    await alice.page.getByRole('button', { name: 'Add', exact: true }).click();
    await alice.page.getByLabel('User IDs').fill('bob');
    await alice.page.getByRole('dialog').getByRole('button', { name: 'Add', exact: true }).click();
    await shown(person(alice, 'bob'));
    // The room opens again without a click.
    await say(bob, 'Here again');
    await shown(messages(alice, 'Here again'));
    await shown(bob.page.locator('.notice').getByText('You were added.'));
    expect((await clientOf('bob').getRoom(room_id)).is_admin).toBe(false);
  });

  test('shows an error next to the action that failed', async () => {
    const { alice } = await meeting();
    await choose(alice, 'Actions for alice', 'Stop being an admin');
    await shown(alice.page.getByRole('alert').getByText('You are the only admin. Make somebody else an admin first.'));
    await alice.page.getByRole('button', { name: 'Add', exact: true }).click();
    await alice.page.getByLabel('User IDs').fill('two/words');
    await alice.page.getByRole('dialog').getByRole('button', { name: 'Add', exact: true }).click();
    await shown(alice.page.getByRole('dialog').getByRole('alert').getByText('“two/words” is not a user ID.'));
    // The browser logs the 409 response as an error.
    expect(alice.problems.splice(0).map((problem) => /status of (\d+)/.exec(problem)?.[1])).toEqual(['409']);
  });

  test('everybody sees a room renamed and ended', async () => {
    const { alice, bob, name } = await meeting();
    await choose(alice, 'Room actions', 'Edit room…');
    await alice.page.getByLabel('Name').fill(`${name} Renamed`);
    await alice.page.getByRole('button', { name: 'Save' }).click();
    await shown(bob.page.getByRole('heading', { name: `${name} Renamed` }));
    await shown(bob.page.getByRole('link', { name: `${name} Renamed` }));

    await choose(alice, 'Room actions', 'End room…');
    await alice.page.getByRole('radio', { name: 'In' }).check();
    await alice.page.getByLabel('Minutes until the room ends').fill('10');
    await alice.page.getByRole('button', { name: 'Set the end' }).click();
    await shown(bob.page.getByRole('timer').getByText(/^Ends in (10:0|9:5)\d$/));

    await choose(alice, 'Room actions', 'End room…');
    await alice.page.getByLabel('Reason').fill('Shift is over');
    await alice.page.getByRole('button', { name: 'End room now' }).click();
    for (const visitor of [alice, bob]) {
      await shown(visitor.page.getByText('This room has ended. Shift is over.'));
      await gone(messageField(visitor));
      await shown(visitor.page.getByRole('link', { name: `${name} Renamed Ended` }));
      await shown(visitor.page.getByText('Participants (2)'));
    }
    await choose(bob, 'Room actions', 'Archive');
    await gone(bob.page.getByRole('link', { name: `${name} Renamed` }));
    await bob.page.getByText(/^Archived \(/).click();
    await shown(bob.page.getByRole('link', { name: `${name} Renamed Ended` }));
  });

  test('a booked room opens at its start and closes at its end, without a reload', async () => {
    const start = Date.now() + 8_000;
    const { name } = await newRoom({
      start_time: new Date(start).toISOString(),
      end_time: new Date(start + 8_000).toISOString(),
    });
    const alice = await come('alice');
    await alice.page.getByRole('link', { name: `${name} Booked` }).click();
    await shown(alice.page.getByText('This room has not started yet'));
    expect(await messageField(alice).count()).toBe(0);
    await say(alice, 'On time');
    await shown(messages(alice, 'On time').filter({ hasText: 'Sent' }));
    await shown(alice.page.getByRole('link', { name: `${name} Started` }));
    await shown(alice.page.getByText('This room has ended.').first());
    await shown(alice.page.getByRole('link', { name: `${name} Ended` }));
  });

  test('all actions work by keyboard', async () => {
    const alice = await arrive('alice');
    const { keyboard } = alice.page;
    const focused = () =>
      evaluate(
        alice,
        `(({ ariaLabel, innerText, labels, placeholder }) =>
      ariaLabel || innerText?.trim() || labels?.[0]?.innerText || placeholder)(document.activeElement)`,
      );
    /** Presses Tab, or another key, until the named element has the focus. Checks that the focus is visible. */
    const reach = async (name: string, key = 'Tab'): Promise<void> => {
      for (let presses = 0; (await focused()) !== name; presses++) {
        expect(presses, `${name} is not reached; at last: ${await focused()}`).toBeLessThan(40);
        await keyboard.press(key);
      }
      expect(await evaluate(alice, `document.activeElement.closest(':focus-visible, :focus-within') !== null`)).toBe(
        true,
      );
    };
    await reach('Who are you?');
    await keyboard.type('alice');
    await keyboard.press('Enter');
    await shown(alice.page.getByRole('heading', { name: 'Your rooms' }));

    await reach('New room');
    await keyboard.press('Enter');
    await shown(alice.page.getByRole('dialog', { name: 'New room' }));
    await keyboard.press('Escape');
    await gone(alice.page.getByRole('dialog'));
    expect(await focused()).toBe('New room');
    await keyboard.press('Enter');
    await reach('Name');
    const name = 'By keyboard';
    await keyboard.type(name);
    await reach('Add bob');
    await keyboard.press('Space');
    await keyboard.press('Shift+Tab');
    await keyboard.press('Enter');
    await shown(alice.page.getByRole('heading', { name }));

    await becomes(alice, `document.activeElement.placeholder === 'Write a message'`);
    await keyboard.type('One line');
    await keyboard.press('Shift+Enter');
    await keyboard.type('and another');
    await keyboard.press('Enter');
    await shown(messages(alice, 'One line\nand another').filter({ hasText: 'Sent' }));
    expect(await messages(alice, 'One line').locator('.text').textContent()).toBe('One line\nand another');
    expect(await messageField(alice).inputValue()).toBe('');

    await reach('Actions for bob');
    await keyboard.press('Enter');
    await reach('Make admin');
    await keyboard.press('Escape');
    expect(await focused()).toBe('Actions for bob');
    await keyboard.press('Enter');
    await reach('Make admin');
    await keyboard.press('Enter');
    await shown(person(alice, 'bob').getByText('admin', { exact: true }));

    await reach('Room actions', 'Shift+Tab');
    await keyboard.press('Enter');
    await reach('End room…');
    await keyboard.press('Enter');
    await shown(alice.page.getByRole('dialog'));
    await reach('End room now');
    await keyboard.press('Enter');
    await shown(alice.page.getByText('This room has ended.').first());
  });

  test.each([
    ['light', 1_200],
    ['dark', 1_200],
    ['light', 360],
    ['dark', 360],
  ] as const)('fits the screen and has enough contrast: %s, %i pixels wide', async (colorScheme, width) => {
    const room = await newRoom();
    const bob = await joinAs('bob', room.room_id);
    await bob.send({ text: `A word that does not end: ${'x'.repeat(300)}` });
    const file = new File(['x'], `${'a long name '.repeat(15)}.txt`, { type: 'text/plain' });
    await bob.send({ text: '', attachment: file });
    const alice = await come('alice', { colorScheme, viewport: { width, height: 700 } });
    const fits = async (where: string): Promise<void> => {
      const widths = await evaluate(
        alice,
        '[document.documentElement.scrollWidth, ...[...document.querySelectorAll(".chat-scroll, dialog, .people")].map((e) => e.scrollWidth - e.clientWidth + innerWidth)]',
      );
      expect(widths, where).toEqual((widths as number[]).map(() => width));
    };
    await fits('the list');
    await enter(alice, room.name);
    await shown(messages(alice, 'a long name'));
    await fits('the room');
    if (width < 720) {
      await alice.page.getByRole('button', { name: /^\d online, show people$/ }).click();
      await fits('the people');
      await alice.page.getByRole('button', { name: 'Close' }).click();
      const isBack = `document.activeElement.getAttribute('aria-controls') === 'people'`;
      expect(await evaluate(alice, isBack)).toBe(true);
      await alice.page.keyboard.press('Enter');
      await shown(alice.page.getByRole('heading', { name: 'People' }));
      await alice.page.keyboard.press('Escape');
      await alice.page.getByRole('heading', { name: 'People' }).waitFor({ state: 'hidden' });
      expect(await evaluate(alice, isBack)).toBe(true);
      // The name uses the full width.
      const [name, title] = await Promise.all(
        ['.room-title h1', '.room-title'].map((selector) => alice.page.locator(selector).boundingBox()),
      );
      expect(name?.width).toBe(title?.width);
    }
    await choose(alice, 'Room actions', 'Edit room…');
    await fits('a dialog');
    expect(await contrast(alice)).toBeGreaterThanOrEqual(4.5);
  });

  /** Returns the lowest contrast ratio of all visible texts. WCAG 2 requires 4.5 (success criterion 1.4.3). */
  const contrast = async (visitor: Visitor): Promise<number> =>
    Number(
      await evaluate(
        visitor,
        `(() => {
          const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
          const paint = (colours) => {
            canvas.clearRect(0, 0, 1, 1);
            for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
            const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((c) => c / 255)
              .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const behind = (element) => element ? [...behind(element.parentElement), getComputedStyle(element).backgroundColor] : ['white'];
          const ratios = [...document.querySelectorAll('body *')]
            .filter((e) => e.checkVisibility() && !e.disabled && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
            .map((e) => [paint(behind(e)), paint([...behind(e), getComputedStyle(e).color])].sort((a, b) => a - b))
            .map(([dark, light]) => (light + 0.05) / (dark + 0.05));
          return Math.min(...ratios);
        })()`,
      ),
    );
});
