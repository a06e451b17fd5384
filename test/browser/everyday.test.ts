import { describe, expect, test } from 'vitest';
import { findChromium, NO_CHROMIUM, sayNoChromium } from './chromium.ts';
import { picture } from './picture.ts';
import { becomes, evaluate, gone, shown, useStage } from './stage.ts';
import { choose, enter, messageField, messages, person, say, type Visitor } from './visitor.ts';

const chromium = await findChromium();
if (!chromium) sayNoChromium('The web client is not tested.');

const notices = ({ page }: Visitor): Promise<string[]> => page.locator('.notice').allTextContents();
const openRoom = ({ page }: Visitor, name: string): Promise<void> => page.getByRole('link', { name }).click();
const dialogOf = ({ page }: Visitor) => page.getByRole('dialog');

describe.skipIf(!chromium)(chromium ? 'everyday use' : `everyday use (skipped: ${NO_CHROMIUM})`, () => {
  const stage = useStage(chromium);
  const { come, clientOf, joinAs, newRoom, meeting } = stage;

  test('never ends a room because a field is empty', async () => {
    const { alice, room_id } = await meeting();
    const status = async () => (await clientOf('alice').getRoom(room_id)).status;
    await choose(alice, 'Room actions', 'End room…');
    await alice.page.getByRole('radio', { name: 'In' }).check();
    const minutes = alice.page.getByLabel('Minutes until the room ends');
    for (const text of ['', '0', '-5', '1.5']) {
      await minutes.fill(text);
      await alice.page.getByRole('button', { name: 'Set the end' }).click();
      await shown(dialogOf(alice));
      expect(await evaluate(alice, `document.querySelector('.minutes').validity.valid`), text).toBe(false);
    }
    // The client also validates the field itself if the browser does not.
    await evaluate(alice, `document.querySelector('dialog form').noValidate = true`);
    await minutes.fill('');
    await alice.page.getByRole('button', { name: 'Set the end' }).click();
    await shown(dialogOf(alice).getByText('Enter the minutes until the end'));
    await alice.page.getByRole('button', { name: 'Cancel' }).click();

    await choose(alice, 'Room actions', 'Edit room…');
    await alice.page.getByLabel('Ends').fill('2026-01-01T10:00');
    await alice.page.getByRole('button', { name: 'Save' }).click();
    await shown(dialogOf(alice).getByText('The end must be in the future. To end a room now, choose “End room”'));
    expect(await status()).toBe('started');
  });

  test('keeps drafts when the user switches rooms, reloads or is removed, and when the room ends', async () => {
    const { alice, bob, name, room_id } = await meeting();
    const other = await newRoom();
    await messageField(bob).fill('Half a sentence');
    await bob.page
      .locator('input[type=file]')
      .setInputFiles({ name: 'a.txt', mimeType: 'text/plain', buffer: Buffer.from('a') });
    await openRoom(bob, other.name);
    await shown(bob.page.getByRole('heading', { name: other.name, level: 1 }));
    await shown(bob.page.getByRole('link', { name: new RegExp(`^${name} .*Draft`) }));
    expect(await messageField(bob).inputValue()).toBe('');
    await enter(bob, name);
    expect(await messageField(bob).inputValue()).toBe('Half a sentence');
    await shown(bob.page.getByRole('list', { name: 'Files to send' }).getByText('a.txt'));

    await bob.page.reload();
    await shown(bob.page.getByPlaceholder('Write a message'));
    expect(await messageField(bob).inputValue()).toBe('Half a sentence');
    await clientOf('alice').removeParticipants(room_id, ['bob']);
    await shown(bob.page.getByText('You had not sent this:'));
    await shown(bob.page.locator('.unsent').getByText('Half a sentence'));
    await clientOf('alice').addParticipants(room_id, ['bob']);
    await shown(bob.page.getByPlaceholder('Write a message'));
    expect(await messageField(bob).inputValue()).toBe('Half a sentence');

    await clientOf('alice').endRoom(room_id);
    await shown(bob.page.getByText('This room has ended.').first());
    await shown(bob.page.locator('.unsent').getByText('Half a sentence'));
    await bob.page.getByRole('button', { name: 'Discard' }).click();
    await gone(bob.page.locator('.unsent'));
    await gone(alice.page.locator('.unsent'));
  });

  test('sends pending messages after a reload, and from a room that is not shown', async () => {
    const room = await newRoom();
    const other = await newRoom();
    const bob = await joinAs('bob', room.room_id);
    const heard: (string | null)[] = [];
    bob.on('message', ({ text }) => heard.push(text));
    const alice = await stage.arrive('alice');
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
    const cutOff = async (): Promise<void> => {
      cut = true;
      for (const line of lines) await line.close();
      lines.clear();
      await shown(alice.page.getByText('Connection lost.'));
    };

    await cutOff();
    await say(alice, 'Waits while another room is open');
    await openRoom(alice, other.name);
    cut = false;
    await expect.poll(() => heard, { timeout: 30_000 }).toEqual(['Waits while another room is open']);
    await enter(alice, room.name);
    await shown(messages(alice, 'Waits while another room is open').filter({ hasText: 'Sent' }));

    await cutOff();
    await say(alice, 'Waits through a reload');
    await shown(messages(alice, 'Waits through a reload').filter({ hasText: 'Sending…' }));
    await openRoom(alice, other.name);
    await alice.page.reload();
    cut = false;
    await expect
      .poll(() => heard, { timeout: 60_000 })
      .toEqual(['Waits while another room is open', 'Waits through a reload']);
    await enter(alice, room.name);
    await shown(messages(alice, 'Waits through a reload').filter({ hasText: 'Sent' }));
    expect(await messages(alice, 'Waits through a reload').count()).toBe(1);
    expect(await evaluate(alice, `Object.keys(localStorage).filter((key) => key.startsWith('rooms.waiting'))`)).toEqual(
      [],
    );
  });

  test('shows one notice for each change of a participant, also after a reload', async () => {
    const { alice, bob, room_id } = await meeting();
    await clientOf('alice').addParticipants(room_id, ['carol']);
    await shown(bob.page.locator('[aria-live=polite]', { hasText: 'carol was added.' }));
    await clientOf('carol').updateProfile(room_id, { username: 'Alice A.' });
    await shown(bob.page.locator('.notice').getByText('carol is now called Alice A.'));
    await clientOf('alice').removeParticipants(room_id, ['carol']);
    const said = ['carol was added.', 'carol is now called Alice A.', 'Alice A. was removed.'];
    await expect.poll(() => notices(bob)).toEqual(said);
    await expect.poll(() => notices(alice)).toEqual(said);
    await bob.page.reload();
    await expect.poll(() => notices(bob)).toEqual(said);
    await gone(person(bob, 'Alice A.'));
  });

  test('shows no presence in rooms that are booked or ended, or that the user was removed from', async () => {
    const { alice, bob, room_id } = await meeting();
    await shown(bob.page.getByText('Online (2)'));
    await clientOf('alice').removeParticipants(room_id, ['bob']);
    await shown(bob.page.getByText('Participants (2)').or(bob.page.getByText('Participants (1)')));
    expect(await bob.page.locator('.avatar.online').count()).toBe(0);
    await shown(alice.page.getByText('Online (1)'));
    await clientOf('alice').endRoom(room_id);
    await shown(alice.page.getByText('Participants (1)'));
    expect(await alice.page.locator('.avatar.online').count()).toBe(0);
    await alice.page.reload();
    await shown(alice.page.getByText('Participants (1)'));

    const booked = await newRoom({ start_time: new Date(Date.now() + 3_600_000).toISOString() });
    await openRoom(alice, booked.name);
    await shown(alice.page.getByText('Participants (2)'));
    expect(await alice.page.locator('.avatar.online').count()).toBe(0);
  });

  test('links only safe URLs, without an opener or a referrer', async () => {
    const { alice, bob } = await meeting();
    await say(alice, 'See https://example.com/a(b)?c=d. Not javascript:alert(1), not https://a@b.example');
    const message = messages(bob, 'See https://example.com');
    await shown(message);
    const links = message.getByRole('link');
    expect(await links.allTextContents()).toEqual(['https://example.com/a(b)?c=d']);
    expect(await links.getAttribute('href')).toBe('https://example.com/a(b)?c=d');
    expect(await links.getAttribute('rel')).toBe('noopener noreferrer');
    expect(await links.getAttribute('target')).toBe('_blank');
  });

  test('opens the picture viewer by keyboard, and keeps the focus in the dialog', async () => {
    const { alice, bob } = await meeting();
    // One message after the other, so that the order of the pictures is known.
    for (const number of [1, 2]) {
      await alice.page
        .locator('input[type=file]')
        .setInputFiles({ name: `chart ${number}.png`, mimeType: 'image/png', buffer: picture(900, 500) });
      await messageField(alice).press('Enter');
      await shown(bob.page.getByRole('button', { name: `Open the picture chart ${number}.png` }));
    }
    const second = bob.page.getByRole('button', { name: 'Open the picture chart 2.png' });
    await second.focus();
    await bob.page.keyboard.press('Enter');
    const viewer = bob.page.getByRole('dialog', { name: 'Picture chart 2.png' });
    await shown(viewer.getByRole('img', { name: 'chart 2.png' }));
    await becomes(bob, `document.querySelector('dialog img').clientWidth >= 850`);
    for (let presses = 0; presses < 12; presses++) {
      await bob.page.keyboard.press('Tab');
      expect(await evaluate(bob, `document.activeElement.closest('dialog') !== null`)).toBe(true);
    }
    await bob.page.keyboard.press('ArrowLeft');
    await shown(bob.page.getByRole('dialog', { name: 'Picture chart 1.png' }).getByRole('img'));
    await shown(bob.page.getByText('Picture 1 of 2'));
    const download = bob.page.waitForEvent('download');
    await bob.page.getByRole('button', { name: 'Download', exact: true }).click();
    expect((await download).suggestedFilename()).toBe('chart 1.png');
    await bob.page.keyboard.press('Escape');
    await gone(dialogOf(bob));
    await becomes(bob, `document.activeElement?.title === 'chart 2.png'`);
  });

  test('marks rooms with unread messages, in the list and in the title of the tab', async () => {
    const [room, other] = [await newRoom(), await newRoom()];
    const alice = await come('alice');
    await enter(alice, other.name);
    const bob = await joinAs('bob', room.room_id);
    expect(await alice.page.title()).toBe(`${other.name} · Rooms`);
    await bob.send({ text: 'Is anybody there?' });
    await shown(alice.page.getByRole('link', { name: new RegExp(`^${room.name} .*Unread$`) }));
    await becomes(alice, `/^\\(\\d+\\) ${other.name} · Rooms$/.test(document.title)`);
    await enter(alice, room.name);
    await shown(messages(alice, 'Is anybody there?'));
    await gone(alice.page.getByRole('link', { name: new RegExp(`^${room.name} .*Unread$`) }));
    await bob.send({ text: 'Ah, hello.' });
    await shown(messages(alice, 'Ah, hello.'));
    await alice.page.reload();
    await enter(alice, other.name);
    // Longer than the interval at which the client checks for unread messages.
    await alice.page.waitForTimeout(6_000);
    expect(await alice.page.getByRole('link', { name: new RegExp(`^${room.name} .*Unread$`) }).count()).toBe(0);
  });

  test('finds one room among 300, by its name and by its status', async () => {
    const dora = clientOf('dora');
    const long = `Überprüfung ${'der Anlage '.repeat(15)}`.trim();
    // Several users, because each can create only 120 rooms a minute.
    const creators = ['dora', 'emil', 'fay', 'gus'].map(clientOf);
    const participant_ids = ['dora'];
    await dora.createRoom({ name: long, description: 'The oldest one' });
    for (let start = 0; start < 300; start += 20)
      await Promise.all(
        Array.from({ length: 20 }, async (_, index) => {
          const number = start + index;
          const creator = creators[number % creators.length] ?? dora;
          const { room_id } = await creator.createRoom({
            name: `Shift ${number}`,
            participant_ids,
            ...(number % 3 === 1 && { start_time: new Date(Date.now() + 3_600_000).toISOString() }),
          });
          if (number % 3 === 2) await creator.endRoom(room_id);
        }),
      );
    const visitor = await come('dora');
    const items = visitor.page.locator('.room-item');
    await shown(visitor.page.getByRole('link', { name: 'Shift 299' }));
    await visitor.page.getByLabel('Search rooms').fill('uberprufung');
    await shown(visitor.page.getByRole('status').getByText('1 of 301 rooms'));
    expect(await items.count()).toBe(1);
    expect(await items.locator('.room-item-name').getAttribute('title')).toBe(long);
    await visitor.page.getByLabel('Search rooms').fill('');
    for (const [label, count] of [
      ['Started', 101],
      ['Booked', 100],
      ['Ended', 100],
    ] as const) {
      await visitor.page.getByRole('radio', { name: label }).check();
      await shown(visitor.page.getByRole('status').getByText(`${count} of 301 rooms`));
      expect(await items.count()).toBe(count);
    }
    await visitor.page.getByLabel('Search rooms').fill('shift 299');
    await shown(visitor.page.getByRole('status').getByText('1 of 301 rooms'));
    await visitor.page.getByRole('button', { name: 'Show all' }).click();
    await expect.poll(() => items.count()).toBeGreaterThanOrEqual(200);
  });

  test('offers to attach a pasted text that is too long as a file, or to paste the first part', async () => {
    const { alice, bob } = await meeting();
    await alice.context.grantPermissions(['clipboard-read', 'clipboard-write']);
    const paste = async (text: string): Promise<void> => {
      await evaluate(alice, `navigator.clipboard.writeText(${JSON.stringify(text)})`);
      await messageField(alice).focus();
      await alice.page.keyboard.press('Control+V');
    };
    const long = 'All work and no play. '.repeat(500);
    await messageField(alice).fill('Log: ');
    await paste(long);
    await shown(alice.page.getByRole('alert').getByText('The text has 11,000 characters; a message takes 8,000.'));
    expect(await messageField(alice).inputValue()).toBe('Log: ');
    await alice.page.getByRole('button', { name: 'Paste the first 7,995' }).click();
    expect(await messageField(alice).inputValue()).toBe(`Log: ${long.slice(0, 7_995)}`);
    await messageField(alice).fill('Log: ');
    await paste(long);
    await alice.page.getByRole('button', { name: 'Attach it as a file' }).click();
    await messageField(alice).press('Enter');
    await shown(messages(bob, 'pasted text.txt').filter({ hasText: 'Log:' }).filter({ hasText: '11 KB' }));
    await paste('x'.repeat(8_000));
    expect((await messageField(alice).inputValue()).length).toBe(8_000);
    await shown(alice.page.getByRole('status').getByText('0 characters left'));
  });

  test('rejects files that are too large when they are chosen, and names them', async () => {
    const { alice } = await meeting();
    await evaluate(
      alice,
      `(() => { const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(101 * 1024 * 1024)], 'disk.iso'));
        data.items.add(new File(['x'], 'n'.repeat(256)));
        data.items.add(new File([], 'empty.txt'));
        data.items.add(new File(['x'], 'fine.txt'));
        document.querySelector('.chat').dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true })); })()`,
    );
    const alert = alice.page.getByRole('alert');
    await shown(alert.getByText('“disk.iso” is too large (106 MB). Files may have up to 105 MB.'));
    await shown(alert.getByText(/^The name “n+…” is too long/));
    expect(await alice.page.locator('.staged-file').allTextContents()).toEqual(['empty.txt0 bytes', 'fine.txt1 byte']);
  });

  test('sets the text direction of user texts by their content', async () => {
    const room = await newRoom({ name: 'חדר בקרה!', description: 'תיאור!' });
    await clientOf('bob').updateProfile(room.room_id, { username: 'בוב!' });
    const bob = await joinAs('bob', room.room_id);
    await bob.send({ text: 'שלום!' });
    const alice = await come('alice');
    await openRoom(alice, 'חדר בקרה!');
    await shown(messages(alice, 'שלום!'));
    const direction = (selector: string) =>
      evaluate(alice, `getComputedStyle(document.querySelector('${selector}')).direction`);
    for (const selector of [
      '.room-title h1',
      '.room-title bdi',
      '.message .text',
      '.sender',
      '.about-name',
      '.about .text',
      '.room-item[aria-current] .room-item-name',
    ])
      await expect.poll(() => direction(selector), { message: selector }).toBe('rtl');
    await messageField(alice).fill('שלום');
    expect(await direction('.composer textarea')).toBe('rtl');
    await clientOf('alice').grantAdmin(room.room_id, 'bob');
    await shown(alice.page.locator('.notice bdi').getByText('בוב!'));
  });
});
