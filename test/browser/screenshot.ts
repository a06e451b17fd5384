import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContextOptions } from 'playwright-core';
import { type LiveRoom, RoomsClient } from '../../client/src/index.ts';
import { requestToken } from '../../local/oidc/oidc-issuer.ts';
import { type LocalStack, startStack } from '../../local/stack.ts';
import { parseCommandLine } from '../../tools/cli/command-line.ts';
import { messageOf } from '../../tools/cli/error-text.ts';
import { UsageError } from '../../tools/cli/usage-error.ts';
import { findChromium, NO_CHROMIUM, startChromium } from './chromium.ts';
import { choose, enter, signIn, type Visitor, visit } from './visitor.ts';

const HELP = `Usage: npm run screenshot [-- options]

Starts a local stack, plays two users in the web client, and writes docs/web-client.png.

Options:
  --all DIR  instead, write every view into DIR: light and dark, wide and narrow
  --help     print this help
`;

const DOCS = fileURLToPath(new URL('../../docs', import.meta.url));
const ROOM = 'Night shift, line 4';
const HOUR_MS = 3_600_000;

const inHours = (hours: number): string => new Date(Date.now() + hours * HOUR_MS).toISOString();

/** Renders the chart that the users discuss as a PNG. */
async function chart(browser: Browser): Promise<Buffer<ArrayBuffer>> {
  const readings = [62, 64, 63, 67, 66, 70, 69, 74, 81, 88, 84, 79, 75, 72, 71, 70];
  const points = readings.map((value, index) => `${60 + index * 33},${260 - (value - 55) * 6}`);
  const lines = [60, 70, 80, 90].map((value) => {
    const y = 260 - (value - 55) * 6;
    return `<path d="M60 ${y}H560" stroke="#dfe3e1"/><text x="48" y="${y + 4}" text-anchor="end">${value}</text>`;
  });
  const page = await browser.newPage({ viewport: { width: 600, height: 300 } });
  await page.setContent(`<body style="margin:0"><svg width="600" height="300" font-family="sans-serif" font-size="13" fill="#5b6663">
    <rect width="600" height="300" fill="#fff"/>${lines.join('')}
    <text x="24" y="28" font-size="16" font-weight="600" fill="#1a201e">Bearing 3, temperature in °C</text>
    <path d="M60 ${260 - (85 - 55) * 6}H560" stroke="#b3261e" stroke-dasharray="6 5"/>
    <polyline points="${points.join(' ')}" fill="none" stroke="#0b7466" stroke-width="3" stroke-linejoin="round"/>
    <text x="60" y="284">22:00</text><text x="560" y="284" text-anchor="end">02:00</text></svg>`);
  const png = await page.screenshot();
  await page.close();
  return Buffer.from(png);
}

/** Creates the rooms and messages of the screenshots. Bob and Carol join the open room without a browser. */
async function setScene(stack: LocalStack, browser: Browser): Promise<{ others: RoomsClient[]; room_id: string }> {
  const clientOf = (user: string): RoomsClient =>
    new RoomsClient({ url: stack.http, wsUrl: stack.ws, token: () => requestToken(stack.issuer, user) });
  const [alice, bob, carol] = [clientOf('alice'), clientOf('bob'), clientOf('carol')];
  const done = await alice.createRoom({ name: 'Pump replacement', participant_ids: ['bob'] });
  const talk = await alice.join(done.room_id);
  await talk.send({ text: 'The new pump is in, and holds its pressure.' });
  await alice.endRoom(done.room_id, { reason: 'Work is done' });
  await bob.createRoom({ name: 'Weekly safety round', start_time: inHours(30), participant_ids: ['alice'] });
  await bob.createRoom({ name: 'Handover to the day shift', start_time: inHours(4), participant_ids: ['alice'] });
  const { room_id } = await alice.createRoom({
    name: ROOM,
    description: 'Everything that cannot wait until six',
    end_time: inHours(0.7),
    participant_ids: ['bob', 'carol', 'dave'],
  });
  await alice.updateProfile(room_id, { username: 'Alice Moreau' });
  await bob.updateProfile(room_id, { username: 'Bob Okafor' });
  await carol.updateProfile(room_id, { username: 'Carol Lindqvist' });
  await alice.grantAdmin(room_id, 'carol');

  const say = async (room: LiveRoom, ...texts: string[]): Promise<void> => {
    for (const text of texts) await room.send({ text });
  };
  const [alices, bobs, carols] = await Promise.all([alice, bob, carol].map((client) => client.join(room_id)));
  if (!alices || !bobs || !carols) throw new Error('A user has not joined.');
  await say(bobs, 'Bearing 3 ran hot again at midnight.', 'It is coming down now, but look at this:');
  await bobs.send({
    text: 'The last four hours',
    attachment: new File([await chart(browser)], 'bearing-3.png', { type: 'image/png' }),
  });
  await say(alices, 'Thanks. Above 85 for twelve minutes: that is the seal, as last time.');
  await say(carols, 'I have one in stock. Shall I bring it over?');
  await carols.send({ attachment: new File([new Uint8Array(248_320)], 'Seal 40-62-10, data sheet.pdf') });
  await say(alices, 'Yes, please. We change it in the break at half past two.');
  (await alice.connect()).close();
  return { others: [bob, carol], room_id };
}

const WIDE = { width: 1280, height: 800 };
const NARROW = { width: 390, height: 844 };
const LOOKS = [
  ['light-wide', { colorScheme: 'light', viewport: WIDE }],
  ['dark-wide', { colorScheme: 'dark', viewport: WIDE }],
  ['light-narrow', { colorScheme: 'light', viewport: NARROW }],
  ['dark-narrow', { colorScheme: 'dark', viewport: NARROW }],
] satisfies [string, BrowserContextOptions][];

/** Opens the room, and waits until its picture and its online participants are shown. */
async function openRoom(visitor: Visitor): Promise<void> {
  await enter(visitor, ROOM);
  await visitor.page.getByRole('img', { name: 'bearing-3.png' }).waitFor();
  await visitor.page.getByText('Online (3)').waitFor({ state: 'attached' });
}

async function everyView(stack: LocalStack, browser: Browser, directory: string): Promise<void> {
  const alice = new RoomsClient({ url: stack.http, token: () => requestToken(stack.issuer, 'alice') });
  const { room_id } = await setScene(stack, browser);
  const open: Visitor[] = [];
  const shoot = async ({ page }: Visitor, name: string): Promise<void> => {
    await page.screenshot({ path: join(directory, `${name}.png`), animations: 'disabled' });
    console.log(join(directory, `${name}.png`));
  };
  for (const [look, options] of LOOKS) {
    const stranger = await visit(browser, stack.http, 'stranger', options);
    await stranger.page.getByLabel('Who are you?').waitFor();
    await shoot(stranger, `${look}-1-sign-in`);
    await stranger.context.close();
    const visitor = await signIn(browser, stack.http, 'alice', options);
    open.push(visitor);
    const { page } = visitor;
    await page.getByRole('link', { name: ROOM }).waitFor();
    await shoot(visitor, `${look}-2-list`);
    await page.getByRole('button', { name: 'New room' }).click();
    await page.getByRole('dialog').waitFor();
    await shoot(visitor, `${look}-3-new-room`);
    await page.keyboard.press('Escape');
    await openRoom(visitor);
    await shoot(visitor, `${look}-4-room`);
    if (options.viewport.width < 1_000) {
      await page.getByRole('button', { name: /show people$/ }).click();
      await shoot(visitor, `${look}-5-people`);
      await page.getByRole('button', { name: 'Close' }).click();
    }
    await choose(visitor, 'Room actions', 'End room…');
    await page.getByRole('dialog').waitFor();
    await shoot(visitor, `${look}-6-end-dialog`);
    await page.keyboard.press('Escape');
  }
  await alice.endRoom(room_id, { reason: 'Shift is over' });
  for (const [index, visitor] of open.entries()) {
    await visitor.page.getByText('This room has ended. Shift is over.').waitFor();
    await shoot(visitor, `${LOOKS[index]?.[0]}-7-ended`);
  }
}

async function forDocs(stack: LocalStack, browser: Browser): Promise<void> {
  await setScene(stack, browser);
  const alice = await signIn(browser, stack.http, 'alice', {
    colorScheme: 'light',
    viewport: { width: 1200, height: 780 },
  });
  await openRoom(alice);
  const path = join(DOCS, 'web-client.png');
  const png = await alice.page.screenshot({ animations: 'disabled' });
  await writeFile(path, png);
  console.log(`${path}, ${Math.round(png.length / 1_000)} kB`);
}

async function main(): Promise<void> {
  const { values } = parseCommandLine(
    { options: { all: { type: 'string' }, help: { type: 'boolean' } } },
    '"npm run screenshot -- --help"',
  );
  if (values.help) return void process.stdout.write(HELP);
  const chromium = await findChromium();
  if (!chromium) throw new UsageError(NO_CHROMIUM);
  if (values.all) await mkdir(values.all, { recursive: true });
  const stack = await startStack({ port: 0, log: () => {}, progress: (step) => console.log(step) });
  try {
    const browser = await startChromium(chromium);
    try {
      await (values.all ? everyView(stack, browser, values.all) : forDocs(stack, browser));
    } finally {
      await browser.close();
    }
  } finally {
    await stack.close();
  }
}

try {
  await main();
  // The clients of Bob and Carol would try to reconnect and keep the process running.
  process.exit();
} catch (error) {
  console.error(messageOf(error));
  process.exit(error instanceof UsageError ? 2 : 1);
}
