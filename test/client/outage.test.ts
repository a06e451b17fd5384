import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type LiveRoom, type Message, RoomsClient, type RoomsClientOptions } from '../../client/src/index.ts';
import { type Backend, backend } from './backend.ts';
import { breakableWay, lossyWebSocket, seededRandom, type Way } from './faults.ts';
import { collect, until } from './until.ts';
import { startWireServer } from './wire-server.ts';

/*
 * What applications are promised: through any outage, every message once and in order. These tests also run against the
 * local stack (see backend.ts): all faults are on the way to it, or on the client's side of the socket.
 */

let server: Backend;
let way: Way;

beforeAll(async () => {
  server = await backend(startWireServer);
  way = await breakableWay(server.wsUrl);
});
afterAll(async () => {
  await way?.close();
  await server?.close();
});

/** Impatient, so that many outages fit into a test. */
const IMPATIENT = {
  replyMs: 400,
  openMs: 1_000,
  pingMs: 150,
  retryInitialMs: 5,
  reconnectInitialMs: 5,
  reconnectMaxMs: 100,
} satisfies Partial<RoomsClientOptions>;

const clientOf = (user: string, options: Partial<RoomsClientOptions> = {}) =>
  new RoomsClient({ url: server.url, wsUrl: server.wsUrl, token: () => server.token(user), ...options });

/** Names that no other test has: a stack may keep what was there. */
const users = () => {
  const run = Math.random().toString(36).slice(2);
  return { alice: `alice-${run}`, bob: `bob-${run}`, carol: `carol-${run}` };
};

async function roomOf(owner: RoomsClient, ...participant_ids: string[]): Promise<string> {
  return (await owner.createRoom({ name: 'Outages', participant_ids })).room_id;
}

/** Breaks the way again and again until it is told to stop; then the way is whole. */
function havoc(random: () => number) {
  let over = false;
  const count = { cut: 0, freeze: 0, refuse: 0 };
  const run = async () => {
    while (!over) {
      await sleep(20 + random() * 180);
      const fault = (['cut', 'cut', 'freeze', 'refuse'] as const)[Math.floor(random() * 4)] ?? 'cut';
      count[fault]++;
      if (fault === 'cut') way.cut();
      if (fault === 'freeze') way.freeze();
      if (fault === 'refuse') {
        way.refusing = true;
        way.cut();
        await sleep(random() * 250);
        way.refusing = false;
      }
    }
  };
  const running = run();
  return {
    count,
    async stop() {
      over = true;
      await running;
      way.refusing = false;
    },
  };
}

async function write(room: LiveRoom, texts: readonly string[], random: () => number): Promise<void> {
  for (const text of texts) {
    await room.send({ text });
    await sleep(random() * 12);
  }
}

const texts = (name: string, count: number): string[] => Array.from({ length: count }, (_, n) => `${name} ${n}`);
const textOf = ({ text }: Message): string => text ?? '';
const historyOf = (client: RoomsClient, roomId: string): Promise<Message[]> =>
  collect(client.allMessages(roomId, { order: 'asc', limit: 200 }));

const seeds = process.env.ROOMS_TEST_SEED
  ? [Number(process.env.ROOMS_TEST_SEED)]
  : Array.from({ length: 3 }, () => Math.floor(Math.random() * 2 ** 31));

test.each(seeds)('every message once and in order while the way breaks at random moments (seed %i)', async (seed) => {
  const random = seededRandom(seed);
  const { alice, bob, carol } = users();
  // Nothing overtakes on the wire server, so that the client has no overlap to hide behind.
  const options = { ...IMPATIENT, ...(server.ordered && { overlapMs: 0 }) };
  // Now and then a reply is lost, although the socket lives on.
  const WebSocket = lossyWebSocket((frame) => frame.includes('"type":"reply"') && random() < 0.1);
  const reader = clientOf(alice, { ...options, wsUrl: way.url, WebSocket });
  const writers = [clientOf(bob), clientOf(carol)];
  const roomId = await roomOf(reader, bob, carol);

  const read: Message[] = [];
  const room = await reader.join(roomId);
  room.on('message', (message) => read.push(message));
  const rejoined: string[] = [];
  room.on('rejoined', ({ room_id }) => rejoined.push(room_id));
  const iterated: Message[] = [];
  const iterating = (async () => {
    for await (const message of room.messages()) iterated.push(message);
  })();

  const chaos = havoc(random);
  const [bobs, carols] = await Promise.all(writers.map((writer) => writer.join(roomId)));
  if (!bobs || !carols) throw new Error('The writers have not joined.');
  const own = texts('alice', 40);
  await Promise.all([
    write(bobs, texts('bob', 150), random),
    write(carols, texts('carol', 150), random),
    write(room, own, random),
  ]);
  await chaos.stop();
  const history = await historyOf(reader, roomId);
  await until('the reader has caught up', () => read.length >= history.length);
  // Whatever was still under way would come by now.
  await Promise.all(writers.map(async (writer) => (await writer.connect()).close()));
  await room.leave();
  await iterating;
  (await reader.connect()).close();

  expect(history.map(textOf).toSorted()).toEqual([...texts('bob', 150), ...texts('carol', 150), ...own].toSorted());
  expect(history.map(textOf).filter((text) => text.startsWith('alice'))).toEqual(own);
  if (server.ordered) expect(read).toEqual(history);
  else expect(read.toSorted((a, b) => (a.message_id < b.message_id ? -1 : 1))).toEqual(history);
  expect(iterated).toEqual(read);
  expect(rejoined.length).toBeGreaterThan(3);
  expect(Math.min(...Object.values(chaos.count))).toBeGreaterThan(0);
});

test('messages that overtake each other are not lost in an outage', async () => {
  const random = seededRandom(seeds[0] ?? 1);
  const { alice, bob } = users();
  if ('broadcastDelay' in server) server.broadcastDelay = 300;
  const reader = clientOf(alice, { ...IMPATIENT, overlapMs: 2_000, wsUrl: way.url });
  const writer = clientOf(bob);
  const roomId = await roomOf(reader, bob);
  const room = await reader.join(roomId);
  const read: Message[] = [];
  room.on('message', (message) => read.push(message));
  const chaos = havoc(random);
  await write(await writer.join(roomId), texts('bob', 200), random);
  await chaos.stop();
  const history = await historyOf(reader, roomId);
  await until('the reader has caught up', () => read.length >= history.length);
  await sleep(350);
  if ('broadcastDelay' in server) server.broadcastDelay = 0;
  for (const client of [reader, writer]) (await client.connect()).close();
  expect(history).toHaveLength(200);
  expect(read.toSorted((a, b) => (a.message_id < b.message_id ? -1 : 1))).toEqual(history);
});

test('sending through outages stores each message once and in order, and answers with what was stored', async () => {
  const random = seededRandom(seeds[0] ?? 1);
  const { alice } = users();
  const WebSocket = lossyWebSocket((frame) => frame.includes('"type":"reply"') && random() < 0.3);
  const sender = clientOf(alice, { ...IMPATIENT, wsUrl: way.url, WebSocket });
  const roomId = await roomOf(sender);
  const room = await sender.join(roomId);
  const chaos = havoc(random);
  // Not one after the other: the client has to keep them in order.
  const answers = await Promise.all(texts('alice', 80).map((text) => room.send({ text })));
  await chaos.stop();
  (await sender.connect()).close();
  const history = await historyOf(sender, roomId);
  expect(history.map(textOf)).toEqual(texts('alice', 80));
  expect(answers).toEqual(history);
});

test('an outage longer than a page of history is caught up with from page to page', async () => {
  const { alice, bob } = users();
  const reader = clientOf(alice, { ...IMPATIENT, wsUrl: way.url });
  const writer = clientOf(bob);
  const roomId = await roomOf(reader, bob);
  const [room, writing] = await Promise.all([reader.join(roomId), writer.join(roomId)]);
  const read: Message[] = [];
  room.on('message', (message) => read.push(message));
  await writing.send({ text: 'before' });
  await until('the first message is there', () => read.length === 1);
  way.refusing = true;
  way.cut();
  const connection = await reader.connect();
  await until('the client has noticed', () => connection.state === 'reconnecting');
  await Promise.all(texts('bob', 460).map((text) => writing.send({ text })));
  expect(read).toHaveLength(1);
  way.refusing = false;
  await until('the reader has caught up', () => read.length >= 461);
  for (const client of [reader, writer]) (await client.connect()).close();
  expect(read.map(textOf)).toEqual(['before', ...texts('bob', 460)]);
});
