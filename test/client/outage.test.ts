import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Message, RoomsClientOptions } from '../../client/src/index.ts';
import { type Backend, backend } from './backend.ts';
import { breakableWay, lossyWebSocket, seededRandom, type Way } from './faults.ts';
import {
  clientsOf,
  everyMessageOnce,
  havoc,
  historyOf,
  IMPATIENT,
  roomOf,
  textOf,
  texts,
  users,
  write,
} from './outages.ts';
import { until } from './until.ts';
import { startWireServer } from './wire-server.ts';

/*
 * The guarantee for applications: every message is delivered once and in order, whatever the outage. These tests also run against the
 * local stack (see backend.ts), because a proxy or the client's socket causes all faults.
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

const clientOf = (user: string, options: Partial<RoomsClientOptions> = {}) => clientsOf(server)(user, options);

const seeds = process.env.ROOMS_TEST_SEED
  ? [Number(process.env.ROOMS_TEST_SEED)]
  : Array.from({ length: 3 }, () => Math.floor(Math.random() * 2 ** 31));

test.each(seeds)('delivers every message once and in order through random network faults (seed %i)', (seed) =>
  everyMessageOnce(server, way, seed),
);

test('does not lose messages that overtake each other during an outage', async () => {
  const random = seededRandom(seeds[0] ?? 1);
  const { alice, bob } = users();
  if ('broadcastDelay' in server) server.broadcastDelay = 300;
  const reader = clientOf(alice, { ...IMPATIENT, overlapMs: 2_000, wsUrl: way.url });
  const writer = clientOf(bob);
  const roomId = await roomOf(reader, bob);
  const room = await reader.join(roomId);
  const read: Message[] = [];
  room.on('message', (message) => read.push(message));
  const chaos = havoc(way, random);
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

test('stores each message once and in order when sent through outages, and resolves with the stored message', async () => {
  const random = seededRandom(seeds[0] ?? 1);
  const { alice } = users();
  const WebSocket = lossyWebSocket((frame) => frame.includes('"type":"reply"') && random() < 0.3);
  const sender = clientOf(alice, { ...IMPATIENT, wsUrl: way.url, WebSocket });
  const roomId = await roomOf(sender);
  const room = await sender.join(roomId);
  const chaos = havoc(way, random);
  // Sends without waiting, so that the client must keep the order.
  const answers = await Promise.all(texts('alice', 80).map((text) => room.send({ text })));
  await chaos.stop();
  (await sender.connect()).close();
  const history = await historyOf(sender, roomId);
  expect(history.map(textOf)).toEqual(texts('alice', 80));
  expect(answers).toEqual(history);
});

test('catches up page by page after an outage that is longer than a page of history', async () => {
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
