import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { FRAME_WINDOW_SECONDS, PRESENCE_GRACE_SECONDS, SILENCE_SECONDS } from '../../core/contract/limits.ts';
import { tableName } from '../../core/store/client.ts';
import type { ParticipantItem } from '../../core/store/items.ts';
import { type Key, livenessKey, participantKey } from '../../core/store/keys.ts';
import { get } from '../../core/store/read.ts';
import { remove } from '../../core/store/write.ts';
import { handler as presence } from '../../functions/events/presence.ts';
import { handler as roomChanges } from '../../functions/events/room-changes.ts';
import { data } from '../support/invoke.ts';
import { queueEvent } from '../support/queue-event.ts';
import { startRealtimeServices } from '../support/realtime-services.ts';
import { runEventFunction } from '../support/run-event-function.ts';
import { disconnect, newSocket, reply, type Socket } from '../support/socket.ts';
import { changesIn, recorded } from '../support/stream.ts';
import { at, newRoom, type World } from '../support/world.ts';

/*
 * Presence when API Gateway never invoked $disconnect. The stream and the queue run in virtual time, which jumps from
 * one due message to the next.
 */

const { management, services } = await startRealtimeServices();

const PINGING = { ping_interval_seconds: 60 };
/** In the middle of a window of counted frames, to reveal rounding errors. */
const START = Math.ceil(Date.now() / 10_000) * 10_000 + 4_000;
const SECOND = 1_000;

interface Queued {
  readonly body: string;
  readonly due: number;
}

const droppedLine = v.object({ connection_id: v.string(), status: v.string(), dropped: v.literal(true) });

/** The stream and the queue of one test, in virtual time. */
function newSimulation() {
  let now = START;
  const queue: Queued[] = [];
  let checks = 0;
  /** What API Gateway responded about each connection that a check dropped. */
  const dropped: unknown[] = [];
  const takeMessages = () => {
    for (const { MessageBody, DelaySeconds } of services.messages.splice(0))
      queue.push({ body: MessageBody, due: now + DelaySeconds * SECOND });
  };

  /** Runs `work` at the current virtual time, and lets the stream reader process its changes. */
  async function happens(work: () => Promise<unknown>): Promise<void> {
    await at(now, async () => {
      const records = changesIn(await recorded(work));
      if (records.Records.length > 0) {
        const { result } = await runEventFunction('room-changes', (context) => roomChanges(records, context));
        expect(result.batchItemFailures).toEqual([]);
      }
      takeMessages();
    });
  }

  /** Delivers queue messages now. Returns the number of failures. */
  async function deliver(...bodies: string[]): Promise<number> {
    let failed = 0;
    await happens(async () => {
      const { result, lines } = await runEventFunction('presence', (context) =>
        presence(queueEvent(...bodies), context),
      );
      failed = result.batchItemFailures.length;
      for (const { entry } of lines) {
        const line = v.safeParse(droppedLine, entry);
        if (line.success) dropped.push([line.output.connection_id, line.output.status]);
      }
    });
    checks += bodies.filter((body) => body.includes('liveness')).length;
    return failed;
  }

  return {
    happens,
    deliver,
    queue,
    dropped,
    now: () => now,
    checks: () => checks,
    /** Advances the time. `meanwhile` runs every 10 seconds, and must not change a room. */
    async pass(seconds: number, meanwhile: () => Promise<unknown> = async () => undefined): Promise<void> {
      for (const end = now + seconds * SECOND; now < end; ) {
        now += 10 * SECOND;
        await at(now, meanwhile);
        for (const message of queue.filter(({ due }) => due <= now)) {
          queue.splice(queue.indexOf(message), 1);
          expect(await deliver(message.body)).toBe(0);
        }
      }
    },
  };
}

type Simulation = ReturnType<typeof newSimulation>;

const soon = START / SECOND + 7_200;
const join = (socket: Socket, { room_id }: World, promise: object = {}) =>
  reply('join', socket, { room_id, ...promise });
const participant = ({ room_id }: World, user_id: string) => get<ParticipantItem>(participantKey(room_id, user_id));
const online = async (world: World, user_id: string) => (await participant(world, user_id))?.present ?? false;
const typesAt = (socket: Socket) => management.received(socket.connection_id).map(({ type }) => type);

/** A room whose admin is present and sends pings. */
async function quietRoom(simulation: Simulation) {
  const world = await at(START, () => newRoom());
  const watcher = newSocket(world.admin, soon);
  await simulation.happens(() => join(watcher, world, PINGING));
  return { world, watcher, ping: () => reply('ping', watcher, {}) };
}

/** API Gateway loses the connection without invoking $disconnect. */
const lose = ({ connection_id }: Socket) => {
  management.respondWith(connection_id, 410);
  management.respondToGetWith(connection_id, 410);
  management.respondToCloseWith(connection_id, 410);
};

describe('an unreported disconnect in a quiet room', () => {
  test.each([
    ['a client that pings', PINGING],
    ['a client that sends nothing', {}],
  ])('of %s is noticed within 5 minutes', async (_, promise) => {
    const simulation = newSimulation();
    const { world, watcher, ping } = await quietRoom(simulation);
    const tab = newSocket(world.member, soon);
    await simulation.happens(() => join(tab, world, promise));
    for (let n = 0; n < 7; n++)
      await simulation.pass(60, () =>
        Promise.all([ping(), ...('ping_interval_seconds' in promise ? [reply('ping', tab, {})] : [])]),
      );
    expect(await online(world, world.member)).toBe(true);
    expect(management.closed).toEqual([]);

    lose(tab);
    const lost = simulation.now();
    while (await online(world, world.member)) await simulation.pass(10, ping);
    const seconds = (simulation.now() - lost) / SECOND;
    expect(seconds).toBeLessThanOrEqual(SILENCE_SECONDS + FRAME_WINDOW_SECONDS + PRESENCE_GRACE_SECONDS + 20);
    expect(seconds).toBeLessThan(300 - 60);
    // The first `peer_joined` is about the admin.
    expect(typesAt(watcher)).toEqual(['peer_joined', 'peer_joined', 'peer_left']);
    expect(await online(world, world.admin)).toBe(true);
  });

  test('of a room that ended is closed by its next check', async () => {
    const simulation = newSimulation();
    const { world, watcher } = await quietRoom(simulation);
    // The stream reader does not process this change, as if it had read the connections before this one joined.
    await at(simulation.now(), () => data('endRoom', { as: world.admin, params: { room_id: world.room_id } }));
    await simulation.pass(SILENCE_SECONDS + PRESENCE_GRACE_SECONDS + 20);
    expect(management.closed).toEqual([watcher.connection_id]);
    expect(await online(world, world.admin)).toBe(false);
  });

  test('of a client that joined seconds before the end is closed soon after it, even if another check is queued', async () => {
    const simulation = newSimulation();
    const { world, watcher } = await quietRoom(simulation);
    const ending = { as: world.admin, params: { room_id: world.room_id }, body: { time_left_in_seconds: 4 } };
    await at(simulation.now(), () => data('endRoom', ending));
    const tab = newSocket(world.admin, soon);
    // Simulates an end that was announced before the join, by a function whose clock is ahead.
    await simulation.happens(() => join(tab, world, PINGING));
    await simulation.pass(20);
    expect(management.closed.toSorted()).toEqual([watcher.connection_id, tab.connection_id].toSorted());
    await simulation.pass(PRESENCE_GRACE_SECONDS + 20);
    expect(await online(world, world.admin)).toBe(false);
  });

  test('that API Gateway does not notice either closes the connection of a client that announced pings', async () => {
    const simulation = newSimulation();
    const { world, ping } = await quietRoom(simulation);
    const tab = newSocket(world.member, soon);
    await simulation.happens(() => join(tab, world, PINGING));
    await simulation.pass(SILENCE_SECONDS - 10, ping);
    expect(management.closed).toEqual([]);
    await simulation.pass(50, ping);
    expect(management.closed).toEqual([tab.connection_id]);
    expect(simulation.dropped).toEqual([[tab.connection_id, 'open']]);
    expect(await online(world, world.member)).toBe(false);
  });

  test('that API Gateway notices only when the connection is closed removes the connection', async () => {
    const simulation = newSimulation();
    const { world, ping } = await quietRoom(simulation);
    const tab = newSocket(world.member, soon);
    await simulation.happens(() => join(tab, world, PINGING));
    management.respondToCloseWith(tab.connection_id, 410);
    await simulation.pass(SILENCE_SECONDS + 40, ping);
    expect(management.closeAttempts).toEqual([tab.connection_id]);
    expect(simulation.dropped).toEqual([[tab.connection_id, 'gone']]);
    expect(await online(world, world.member)).toBe(false);
  });

  test('is checked again if API Gateway fails to respond, and removed when it responds', async () => {
    const simulation = newSimulation();
    const { world, ping } = await quietRoom(simulation);
    const tab = newSocket(world.member, soon);
    await simulation.happens(() => join(tab, world, PINGING));
    management.respondToGetWith(tab.connection_id, 500);
    await simulation.pass(SILENCE_SECONDS + 40, ping);
    expect(await online(world, world.member)).toBe(true);
    management.respondToGetWith(tab.connection_id, 200);
    management.respondToCloseWith(tab.connection_id, 500);
    await simulation.pass(40, ping);
    // The connection may still be open, so the table keeps it.
    expect((await participant(world, world.member))?.connections).toEqual(new Set([tab.connection_id]));
    management.respondToCloseWith(tab.connection_id, 200);
    await simulation.pass(60, ping);
    expect(await online(world, world.member)).toBe(false);
  });
});

describe('a connected client', () => {
  test('that sends nothing stays present, as contract 1.1 promises', async () => {
    const simulation = newSimulation();
    const { world, watcher, ping } = await quietRoom(simulation);
    const tab = newSocket(world.member, soon);
    await simulation.happens(() => join(tab, world));
    await simulation.pass(1_800, ping);
    expect(await online(world, world.member)).toBe(true);
    expect(management.closed).toEqual([]);
    expect(typesAt(watcher)).toEqual(['peer_joined', 'peer_joined']);
    expect(new Set(management.asked)).toEqual(new Set([tab.connection_id]));
  });

  test('that sends frames is not checked with API Gateway, and costs a check about every three minutes', async () => {
    const simulation = newSimulation();
    const { ping } = await quietRoom(simulation);
    await simulation.pass(1_800, ping);
    expect(management.asked).toEqual([]);
    expect(simulation.checks()).toBeGreaterThan(1_800 / (SILENCE_SECONDS + 30));
    expect(simulation.checks()).toBeLessThan(1_800 / (SILENCE_SECONDS - 30));
    expect(simulation.queue).toHaveLength(1);
  });

  test('with one of two connections alive stays present; the dead connection is removed', async () => {
    const simulation = newSimulation();
    const { world, ping } = await quietRoom(simulation);
    const [dead, alive] = [newSocket(world.member, soon), newSocket(world.member, soon)];
    await simulation.happens(() => join(dead, world, PINGING));
    await simulation.happens(() => join(alive, world, PINGING));
    lose(dead);
    await simulation.pass(300, () => Promise.all([ping(), reply('ping', alive, {})]));
    expect((await participant(world, world.member))?.connections).toEqual(new Set([alive.connection_id]));
    expect(simulation.dropped).toEqual([[dead.connection_id, 'gone']]);
    expect(await online(world, world.member)).toBe(true);
  });

  test('that reconnected unnoticed stays present, and has one check', async () => {
    const simulation = newSimulation();
    const { world, watcher, ping } = await quietRoom(simulation);
    let tab = newSocket(world.member, soon);
    await simulation.happens(() => join(tab, world, PINGING));
    for (let n = 0; n < 6; n++) {
      lose(tab);
      tab = newSocket(world.member, soon);
      await simulation.happens(() => join(tab, world, PINGING));
      await simulation.pass(100, () => Promise.all([ping(), reply('ping', tab, {})]));
    }
    await simulation.pass(240, () => Promise.all([ping(), reply('ping', tab, {})]));
    expect((await participant(world, world.member))?.connections).toEqual(new Set([tab.connection_id]));
    expect(typesAt(watcher)).toEqual(['peer_joined', 'peer_joined']);
    expect(simulation.queue).toHaveLength(2);
  });
});

describe('checks', () => {
  test('that are duplicated, at once or later, become one again', async () => {
    const simulation = newSimulation();
    const { ping } = await quietRoom(simulation);
    const [first] = simulation.queue;
    if (!first) throw new Error('there is one');
    await simulation.pass(SILENCE_SECONDS - 10, ping);
    await simulation.deliver(first.body, first.body, first.body);
    await simulation.pass(600, ping);
    expect(simulation.queue).toHaveLength(1);
    await simulation.deliver(first.body);
    expect(simulation.queue).toHaveLength(1);
  });

  test('that follow from a repeated stream record are queued once', async () => {
    const simulation = newSimulation();
    const world = await at(START, () => newRoom());
    const socket = newSocket(world.admin, soon);
    const records = await at(START, async () => changesIn(await recorded(() => join(socket, world, PINGING))));
    for (let n = 0; n < 3; n++)
      await simulation.happens(() => runEventFunction('room-changes', (context) => roomChanges(records, context)));
    expect(simulation.queue).toHaveLength(1);
  });

  test('end when presence ends, and start again with the next presence', async () => {
    const simulation = newSimulation();
    const { world, watcher } = await quietRoom(simulation);
    await simulation.happens(() => disconnect(watcher));
    await simulation.pass(2 * SILENCE_SECONDS);
    expect(simulation.queue).toEqual([]);
    expect(await get(livenessKey(world.room_id, world.admin))).toBeUndefined();
    await simulation.happens(() => join(newSocket(world.admin, soon), world, PINGING));
    expect(simulation.queue).toHaveLength(1);
  });

  test('that could not be queued or recorded are retried', async () => {
    const simulation = newSimulation();
    const { world, ping } = await quietRoom(simulation);
    const [first] = simulation.queue.splice(0);
    await simulation.pass(SILENCE_SECONDS, ping);
    services.broken.sqs = true;
    expect(await simulation.deliver(first?.body ?? '')).toBe(1);
    services.broken.sqs = false;
    expect(await simulation.deliver(first?.body ?? '')).toBe(0);
    expect(simulation.queue).toHaveLength(1);
    expect(await get(livenessKey(world.room_id, world.admin))).toMatchObject({
      due: JSON.parse(simulation.queue[0]?.body ?? '{}').due,
    });
  });

  test('that are lost start again with the next connection', async () => {
    const simulation = newSimulation();
    const { world, ping } = await quietRoom(simulation);
    simulation.queue.length = 0;
    await simulation.pass(SILENCE_SECONDS + 40, ping);
    await simulation.happens(() => join(newSocket(world.admin, soon), world, PINGING));
    expect(simulation.queue).toEqual([]);
    await simulation.pass(30, ping);
    await simulation.happens(() => join(newSocket(world.admin, soon), world, PINGING));
    expect(simulation.queue).toHaveLength(1);
  });

  test('of a participant whose absence check was lost end the presence themselves', async () => {
    const simulation = newSimulation();
    const { world, watcher } = await quietRoom(simulation);
    await simulation.happens(() => disconnect(watcher));
    simulation.queue.splice(
      simulation.queue.findIndex(({ body }) => body.includes('left_at')),
      1,
    );
    await simulation.pass(SILENCE_SECONDS + 20);
    expect(await online(world, world.admin)).toBe(false);
  });

  test('leave an absence check twice its time before they end the presence', async () => {
    const simulation = newSimulation();
    const { world, watcher } = await quietRoom(simulation);
    await simulation.happens(() => disconnect(watcher));
    const { body = '' } = simulation.queue.find((message) => message.body.includes('liveness')) ?? {};
    simulation.queue.length = 0;
    await simulation.pass(2 * PRESENCE_GRACE_SECONDS);
    expect(await simulation.deliver(body)).toBe(0);
    expect(await online(world, world.admin)).toBe(true);
    await simulation.pass(SILENCE_SECONDS + 20);
    expect(await online(world, world.admin)).toBe(false);
  });

  test('of a removed participant do nothing', async () => {
    const simulation = newSimulation();
    const { world, ping } = await quietRoom(simulation);
    const tab = newSocket(world.member, soon);
    await simulation.happens(() => join(tab, world, PINGING));
    const removal = { as: world.admin, params: { room_id: world.room_id }, body: { participant_ids: [world.member] } };
    await simulation.happens(() => data('removeParticipants', removal));
    await simulation.pass(300, ping);
    expect(await participant(world, world.member)).toBeUndefined();
    expect(simulation.queue).toHaveLength(1);
  });

  test('are recorded in an item that DynamoDB deletes a day after the check was due', async () => {
    const { world } = await quietRoom(newSimulation());
    const item = await get<Key & { due: string; expires_at: number }>(livenessKey(world.room_id, world.admin));
    expect(item?.expires_at).toBe(Math.floor(Date.parse(item?.due ?? '') / 1_000) + 86_400);
  });

  test('use only consistent reads, and write once', async () => {
    const simulation = newSimulation();
    await quietRoom(simulation);
    const [first] = simulation.queue;
    const { trace } = await at(START + 100 * SECOND, () =>
      runEventFunction('presence', (context) => presence(queueEvent(first?.body ?? ''), context)),
    );
    expect(trace.requests.toSorted()).toEqual(['BatchGetItem', 'Query', 'UpdateItem']);
    expect(trace.trips).toBe(2);
    for (const [n, request] of trace.requests.entries())
      if (request === 'Query') expect(trace.inputs[n]).toMatchObject({ ConsistentRead: true });
      else if (request === 'BatchGetItem')
        expect(trace.inputs[n]).toMatchObject({ RequestItems: { [tableName()]: { ConsistentRead: true } } });
  });

  test('that are no longer recorded in the table cost one round trip, and write nothing', async () => {
    const simulation = newSimulation();
    const { world } = await quietRoom(simulation);
    const [first] = simulation.queue;
    await remove(livenessKey(world.room_id, world.admin));
    const { trace } = await at(START, () =>
      runEventFunction('presence', (context) => presence(queueEvent(first?.body ?? ''), context)),
    );
    expect([trace.trips, trace.writes]).toEqual([1, 0]);
  });
});
