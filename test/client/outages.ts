import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { type LiveRoom, type Message, RoomsClient, type RoomsClientOptions } from '../../client/src/index.ts';
import type { Backend } from './backend.ts';
import { lossyWebSocket, seededRandom, type Way } from './faults.ts';
import { collect, until } from './until.ts';

/*
 * Random network faults between a client and the service, and a check that clients receive every message.
 */

/** Short time limits, so that a test can have many outages. */
export const IMPATIENT = {
  replyMs: 400,
  openMs: 1_000,
  pingMs: 150,
  retryInitialMs: 5,
  reconnectInitialMs: 5,
  reconnectMaxMs: 100,
} satisfies Partial<RoomsClientOptions>;

export const clientsOf =
  (server: Pick<Backend, 'url' | 'wsUrl' | 'token'>) =>
  (user: string, options: Partial<RoomsClientOptions> = {}): RoomsClient =>
    new RoomsClient({ url: server.url, wsUrl: server.wsUrl, token: () => server.token(user), ...options });

/** Returns unique user names, because a stack can keep the data of earlier tests. */
export const users = () => {
  const run = Math.random().toString(36).slice(2);
  return { alice: `alice-${run}`, bob: `bob-${run}`, carol: `carol-${run}` };
};

export async function roomOf(owner: RoomsClient, ...participant_ids: string[]): Promise<string> {
  return (await owner.createRoom({ name: 'Outages', participant_ids })).room_id;
}

/** Causes random faults until `stop` is called, and each kind at least once. After `stop`, the proxy works again. */
export function havoc(way: Way, random: () => number) {
  let over = false;
  const count = { cut: 0, freeze: 0, refuse: 0 };
  const owed = ['freeze', 'refuse', 'cut'] satisfies (keyof typeof count)[];
  const run = async () => {
    while (!over || owed.length > 0) {
      await sleep(20 + random() * 180);
      const byChance = (['cut', 'cut', 'freeze', 'refuse'] as const)[Math.floor(random() * 4)] ?? 'cut';
      const fault = owed.pop() ?? byChance;
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

/** Sends messages one after the other. With `edits`, also edits and deletes some of them. Returns the sent texts by message ID. */
export async function write(
  room: LiveRoom,
  texts: readonly string[],
  random: () => number,
  edits = false,
): Promise<ReadonlyMap<string, string>> {
  const sent = new Map<string, string>();
  const open: string[] = [];
  for (const text of texts) {
    const { message_id } = await room.send({ text });
    sent.set(message_id, text);
    open.push(message_id);
    const at = Math.floor(random() * open.length);
    const chance = edits ? random() : 1;
    if (chance < 0.3) await room.edit(open[at] ?? '', `${text} instead`);
    else if (chance < 0.4) await room.delete(open.splice(at, 1)[0] ?? '');
    await sleep(random() * 12);
  }
  return sent;
}

/** Records the events of a room in order, and keeps the messages as an application would show them. */
export function follow(room: LiveRoom) {
  const read: Message[] = [];
  const shown = new Map<string, Message>();
  /** The change numbers of received edits and deletions. */
  const changes: number[] = [];
  /** Events that the client must not deliver: a duplicate message, or a change that is not newer than the shown version. */
  const wrong: Message[] = [];
  room.on('message', (message) => {
    if (shown.has(message.message_id)) wrong.push(message);
    read.push(message);
    shown.set(message.message_id, message);
  });
  const change = (message: Message) => {
    if (Number(message.change) <= (shown.get(message.message_id)?.change ?? 0)) wrong.push(message);
    changes.push(Number(message.change));
    shown.set(message.message_id, message);
  };
  room.on('message_updated', change);
  room.on('message_deleted', change);
  return { read, shown, changes, wrong };
}

export const texts = (name: string, count: number): string[] => Array.from({ length: count }, (_, n) => `${name} ${n}`);
export const textOf = ({ text }: Message): string => text ?? '';
export const historyOf = (client: RoomsClient, roomId: string): Promise<Message[]> =>
  collect(client.allMessages(roomId, { order: 'asc', limit: 200 }));

/**
 * Three users write, edit and delete messages while random faults interrupt the connection of one of them. Checks that this user
 * receives every message, edit and deletion once and in order. The seed determines all random choices.
 */
export async function everyMessageOnce(server: Omit<Backend, 'close'>, way: Way, seed: number): Promise<void> {
  const clientOf = clientsOf(server);
  const random = seededRandom(seed);
  const { alice, bob, carol } = users();
  // The wire server keeps the order of messages, so no overlap is needed. An overlap could hide errors.
  const options = { ...IMPATIENT, ...(server.ordered && { overlapMs: 0 }) };
  // Loses 10 % of the replies while the socket stays open.
  const WebSocket = lossyWebSocket((frame) => frame.includes('"type":"reply"') && random() < 0.1);
  const reader = clientOf(alice, { ...options, wsUrl: way.url, WebSocket });
  const writers = [clientOf(bob), clientOf(carol)];
  const roomId = await roomOf(reader, bob, carol);

  const room = await reader.join(roomId);
  const { read, shown, changes, wrong } = follow(room);
  const rejoined: string[] = [];
  room.on('rejoined', ({ room_id }) => rejoined.push(room_id));
  const iterated: Message[] = [];
  const iterating = (async () => {
    for await (const message of room.messages()) iterated.push(message);
  })();

  const chaos = havoc(way, random);
  const [bobs, carols] = await Promise.all(writers.map((writer) => writer.join(roomId)));
  if (!bobs || !carols) throw new Error('The writers have not joined.');
  const own = texts('alice', 40);
  const sent = await Promise.all([
    write(bobs, texts('bob', 150), random, true),
    write(carols, texts('carol', 150), random, true),
    write(room, own, random, true),
  ]);
  await chaos.stop();
  const history = await historyOf(reader, roomId);
  const lastChange = Math.max(...history.map(({ change }) => change ?? 0));
  await until('the reader has caught up', () => read.length >= history.length && Number(room.lastChange) >= lastChange);
  // Closing and leaving takes long enough for a delayed duplicate to arrive.
  await Promise.all(writers.map(async (writer) => (await writer.connect()).close()));
  await room.leave();
  await iterating;
  (await reader.connect()).close();

  const written = new Map(sent.flatMap((each) => [...each]));
  const first = history.map(({ message_id }) => written.get(message_id) ?? '');
  expect(first.toSorted()).toEqual([...texts('bob', 150), ...texts('carol', 150), ...own].toSorted());
  expect(first.filter((text) => text.startsWith('alice'))).toEqual(own);
  const ids = read.map(({ message_id }) => message_id);
  expect(server.ordered ? ids : ids.toSorted()).toEqual(history.map(({ message_id }) => message_id));
  expect(iterated).toEqual(read);
  expect(wrong).toEqual([]);
  expect([...shown.values()].toSorted((a, b) => (a.message_id < b.message_id ? -1 : 1))).toEqual(history);
  expect(changes).toEqual([...new Set(changes)].toSorted((a, b) => a - b));
  // Some changes have no event, because the messages that are read after an outage already contain them.
  expect(changes.length).toBeGreaterThan(0);
  expect(history.filter(({ change }) => change !== null).length).toBeGreaterThan(20);
  expect(rejoined.length).toBeGreaterThan(3);
  expect(Math.min(...Object.values(chaos.count))).toBeGreaterThan(0);
}
