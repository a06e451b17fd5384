import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import * as v from 'valibot';
import { WebSocket } from 'ws';
import { breakableWay } from '../client/faults.ts';
import { call, HTTP_LIMIT_MS } from './api.ts';
import { check } from './checker.ts';
import type { Faults } from './faults.ts';
import { download } from './files.ts';
import type { FinalRoom, FinalState, History, Operation, Recorder } from './history.ts';
import type { Action, ClientPlan, Fault, Plan, RoomPlan } from './plan.ts';
import type { Random } from './random.ts';
import { FRAME_LIMIT_MS, type RoomClient, rawClient } from './raw-client.ts';
import { outcomeOf, SDK_HTTP_LIMIT_MS, sdkClient } from './sdk-client.ts';
import type { TableView } from './table.ts';
import { type Tokens, tokensOf } from './tokens.ts';

/** The environment of rounds. URLs are those of the proxies. */
export interface World {
  readonly http: string;
  readonly ws: string;
  readonly issuer: string;
  readonly table: TableView;
  readonly socketOf: ReadonlyMap<string, string>;
  redrive(): Promise<void>;
  restart(): Promise<void>;
  /** Breaks all requests to both APIs, and refuses new ones for this many milliseconds. */
  restartGateways(downMs: number): Promise<void>;
  restartDynamoDb(): Promise<void>;
}

export interface RoundResult {
  readonly history: History;
  /**
   * How long it took until the final state was correct after the faults, in milliseconds. Undefined if it never was.
   */
  readonly convergedAfter: number | undefined;
}

/** The interval between two reads of the table, in milliseconds. */
const SAMPLE_MS = 1_000;
/**
 * The interval at which rooms receive a message after the faults, in milliseconds. It detects clients that were lost,
 * which can also happen without faults.
 */
const TOUCH_MS = 20_000;
/**
 * How long the state may stay incorrect after the faults, in milliseconds. A presence message that a killed function
 * had received is hidden for a minute, and the grace period follows.
 */
const CONVERGE_MS = 100_000;

const roomSchema = v.object({
  room_id: v.string(),
  start_time: v.string(),
  end_time: v.nullable(v.string()),
  status: v.picklist(['booked', 'started', 'ended']),
});
const participantsSchema = v.array(
  v.object({
    participant_id: v.string(),
    is_admin: v.boolean(),
    online: v.boolean(),
    read_to: v.nullable(v.string()),
  }),
);
const messagesSchema = v.array(
  v.object({
    message_id: v.string(),
    client_message_id: v.string(),
    sender_id: v.string(),
    sent_at: v.string(),
    attachment: v.nullable(v.object({ file_id: v.string() })),
    text: v.nullable(v.string()),
    change: v.nullable(v.number()),
    deleted_by: v.nullable(v.string()),
  }),
);
const changesSchema = v.array(v.object({ message_id: v.string(), change: v.number() }));

/** Faults that occur at a time of the plan. Other faults affect everything during their period. */
const MOMENTS: ReadonlySet<Fault> = new Set(['redrive', 'restart', 'gateway-restart', 'dynamodb-restart']);

interface Room {
  readonly plan: RoomPlan;
  readonly id: string;
  readonly clients: readonly RoomClient[];
}

/** Runs a round: executes its plan, stops the faults, and waits until the state is correct. */
export async function runRound(
  plan: Plan,
  world: World,
  faults: Faults,
  recorder: Recorder,
  random: Random,
): Promise<RoundResult> {
  const { history } = recorder;
  const delays = monitorEventLoopDelay();
  delays.enable();
  const tokens = new Map<string, Tokens>();
  const tokensFor = (user: string, seconds: number): Tokens => {
    const key = `${user} ${seconds}`;
    const kept = tokens.get(key) ?? tokensOf(world.issuer, user, seconds);
    tokens.set(key, kept);
    return kept;
  };
  const ofTest = (user: string): Tokens => tokensFor(user, 3_600);
  const timeOf = (iso: string): number => Date.parse(iso) - history.epoch;
  const endOf = (data: unknown): Pick<Operation, 'ends'> => {
    const room = v.safeParse(roomSchema, data);
    return room.success ? { ends: room.output.end_time === null ? null : timeOf(room.output.end_time) } : {};
  };
  const rooms: Room[] = [];
  const stopping = new AbortController();
  const { signal } = stopping;
  const until = async (at: number): Promise<void> => {
    const wait = at - recorder.now();
    if (wait > 0) await sleep(wait, undefined, { signal });
  };

  async function create(room: RoomPlan, owner: ClientPlan): Promise<string | undefined> {
    const { startsIn, endsIn, users, name } = room;
    const from = Date.now();
    const body = {
      name,
      participant_ids: users.filter((user) => user !== owner.user),
      ...(startsIn !== undefined && { start_time: new Date(from + startsIn).toISOString() }),
      ...(endsIn !== undefined && { end_time: new Date(from + endsIn).toISOString() }),
    };
    // Repeats the request until its result is known.
    for (let tried = 0; tried < 6 && !signal.aborted; tried += 1) {
      const operation = recorder.begin({
        kind: 'create',
        user: owner.user,
        client: owner.name,
        room: name,
        limit: HTTP_LIMIT_MS,
      });
      const headers = { 'idempotency-key': name };
      const result = await call(world.http, tokensFor(owner.user, owner.tokenSeconds), 'createRoom', { body, headers });
      recorder.settle(operation, { ...result, ...endOf(result.data), code: result.code });
      if (result.outcome === 'ok') return v.parse(roomSchema, result.data).room_id;
      if (result.outcome === 'fail' && result.code !== '401') return undefined;
      await sleep(random.between(100, 800));
    }
    return undefined;
  }

  async function administer(room: Room, client: ClientPlan, action: Action): Promise<void> {
    const kinds = { rename: 'update', 'move-end': 'update' } as const;
    const kind = action.do === 'rename' || action.do === 'move-end' ? kinds[action.do] : action.do;
    if (!['add', 'remove', 'grant', 'revoke', 'update', 'end', 'profile', 'read'].includes(kind)) return;
    const target = 'target' in action ? action.target : undefined;
    const viaSdk = client.via === 'sdk';
    const operation = recorder.begin({
      kind: kind as Operation['kind'],
      user: client.user,
      client: client.name,
      room: room.plan.name,
      limit: viaSdk ? SDK_HTTP_LIMIT_MS : HTTP_LIMIT_MS,
      ...(target !== undefined && { target }),
    });
    const params = { room_id: room.id };
    const name = `Renamed ${operation.id}`;
    const later = (ms: number): string => new Date(Date.now() + ms).toISOString();
    const changes = action.do === 'move-end' ? { end_time: action.in === null ? null : later(action.in) } : { name };

    if (viaSdk) {
      const index = room.plan.clients.indexOf(client);
      const api = sdkOf(room, index);
      try {
        let answer: unknown;
        if (action.do === 'add') answer = await api.addParticipants(room.id, [action.target]);
        else if (action.do === 'remove') answer = await api.removeParticipants(room.id, [action.target]);
        else if (action.do === 'grant') answer = await api.grantAdmin(room.id, action.target);
        else if (action.do === 'revoke') answer = await api.revokeAdmin(room.id, action.target);
        else if (action.do === 'end') answer = await api.endRoom(room.id, { time_left_in_seconds: action.in });
        else if (action.do === 'profile') answer = await api.updateProfile(room.id, { username: name });
        else if (action.do === 'read') answer = await api.getRoom(room.id);
        else answer = await api.updateRoom(room.id, changes);
        recorder.settle(operation, { outcome: 'ok', ...(kind === 'read' ? {} : endOf(answer)) });
      } catch (error) {
        // An earlier attempt of the SDK may have succeeded, which would explain the rejection of the last one.
        recorder.settle(operation, { ...outcomeOf(error), outcome: 'unknown' });
      }
      return;
    }

    const own = tokensFor(client.user, client.tokenSeconds);
    const result = await (() => {
      if (action.do === 'add')
        return call(world.http, own, 'addParticipants', { params, body: { participant_ids: [action.target] } });
      if (action.do === 'remove')
        return call(world.http, own, 'removeParticipants', { params, body: { participant_ids: [action.target] } });
      if (action.do === 'grant' || action.do === 'revoke')
        return call(world.http, own, action.do === 'grant' ? 'grantAdmin' : 'revokeAdmin', {
          params: { ...params, participant_id: action.target },
        });
      if (action.do === 'end')
        return call(world.http, own, 'endRoom', { params, body: { time_left_in_seconds: action.in } });
      if (action.do === 'profile') return call(world.http, own, 'updateProfile', { params, body: { username: name } });
      if (action.do === 'read') return call(world.http, own, 'getRoom', { params });
      return call(world.http, own, 'changeRoom', { params, body: changes });
    })();
    recorder.settle(operation, {
      outcome: result.outcome,
      ...(result.code !== undefined && { code: result.code }),
      ...(result.outcome === 'ok' && kind !== 'read' ? endOf(result.data) : {}),
    });
  }

  const apis = new Map<RoomClient, ReturnType<typeof sdkClient>['api']>();
  function sdkOf(room: Room, index: number): ReturnType<typeof sdkClient>['api'] {
    const client = room.clients[index];
    const api = client && apis.get(client);
    if (!api) throw new Error('This client does not use the SDK.');
    return api;
  }

  async function offline(client: RoomClient, ms: number): Promise<void> {
    client.refuse(true);
    client.cut();
    await sleep(ms);
    client.refuse(false);
  }

  async function playRoom(room: RoomPlan): Promise<void> {
    await until(room.createdAt);
    const [owner] = room.clients;
    const id = owner && (await create(room, owner));
    if (id === undefined) return;
    const clients = await Promise.all(
      room.clients.map(async (client) => {
        const context = {
          plan: client,
          room: room.name,
          roomId: id,
          url: world.http,
          recorder,
          way: await breakableWay(world.ws),
          tokens: tokensFor(client.user, client.tokenSeconds),
          random: random.fork(client.name),
        };
        if (client.via === 'raw') return rawClient(context);
        const made = sdkClient(context);
        apis.set(made, made.api);
        return made;
      }),
    );
    const live: Room = { plan: room, id, clients };
    rooms.push(live);
    const pending: Promise<void>[] = [];
    for (const { at, client: index, action } of room.steps) {
      await until(at);
      const [client, who] = [clients[index], room.clients[index]];
      if (!client || !who) continue;
      if (action.do === 'join') client.join();
      else if (action.do === 'leave') client.leave();
      else if (action.do === 'send') client.send(action.count);
      else if (action.do === 'upload') client.upload(action.size);
      else if (action.do === 'overwrite') client.overwrite();
      else if (action.do === 'download') client.download();
      else if (action.do === 'edit' || action.do === 'delete') client[action.do](action.of, action.share);
      else if (action.do === 'mark') client.mark();
      else if (action.do === 'offline') {
        if (plan.faults.length === 0) continue;
        faults.hit(action.do, who.name);
        pending.push(offline(client, action.ms));
      } else if (action.do === 'cut' || action.do === 'freeze' || action.do === 'slow') {
        if (plan.faults.length === 0) continue;
        faults.hit(action.do, who.name);
        if (action.do === 'cut') client.cut();
        else if (action.do === 'freeze') client.freeze();
        else client.slow(random.between(300, 3_000));
      } else pending.push(administer(live, who, action));
    }
    await Promise.all(pending);
  }

  async function playFaults(): Promise<void> {
    const work: Promise<void>[] = [];
    const all = (): RoomClient[] => rooms.flatMap(({ clients }) => clients);
    const restartGateways = async (downMs: number): Promise<void> => {
      const clients = all();
      for (const client of clients) {
        client.refuse(true);
        client.cut();
      }
      await world.restartGateways(downMs);
      for (const client of clients) client.refuse(false);
    };
    for (const { fault, from, to } of plan.faults) {
      if (!MOMENTS.has(fault)) continue;
      await until(from);
      faults.hit(fault, fault);
      if (fault === 'redrive') work.push(world.redrive());
      else if (fault === 'gateway-restart') work.push(restartGateways(to - from));
      else if (fault === 'dynamodb-restart') work.push(world.restartDynamoDb());
      else {
        work.push(world.restart());
        for (const client of all()) client.cut();
      }
    }
    await Promise.all(work);
  }

  async function sample(): Promise<void> {
    const at = recorder.now();
    const found = await Promise.all(
      rooms.map(async ({ plan: { name }, id }) => [name, await world.table.room(id)] as const),
    );
    history.samples.push({
      at,
      until: recorder.now(),
      rooms: Object.fromEntries(
        found.flatMap(([name, room]) =>
          room ? [[name, { admins: room.admins, sockets: room.connections.map(nameOf) }]] : [],
        ),
      ),
    });
  }
  const nameOf = (connection: string): string => world.socketOf.get(connection) ?? `connection ${connection}`;
  const sampling = (async () => {
    while (!signal.aborted) {
      // DynamoDB may be restarting.
      await sample().catch(() => {});
      await sleep(SAMPLE_MS, undefined, { signal });
    }
  })().catch(() => {});

  /** Reads all pages of a list as an admin of the room. */
  async function pages<T>(
    user: string,
    name: 'listParticipants' | 'listMessages' | 'listMessageChanges',
    roomId: string,
    schema: v.GenericSchema<unknown, T[]>,
  ): Promise<T[]> {
    const items: T[] = [];
    let cursor: string | undefined;
    do {
      const query = { limit: '200', ...(name === 'listMessages' && { order: 'asc' }), ...(cursor && { cursor }) };
      const result = await call(world.http, ofTest(user), name, { params: { room_id: roomId }, query });
      if (result.outcome !== 'ok') throw new Error(`${name} was answered with ${result.code}.`);
      items.push(...v.parse(schema, result.data));
      cursor = result.cursor;
    } while (cursor);
    return items;
  }

  async function finalRoom({ id, plan: { name } }: Room): Promise<readonly [string, FinalRoom]> {
    const [user] = (await world.table.room(id))?.admins ?? [];
    if (user === undefined) throw new Error(`${name} has no admin.`);
    const read = recorder.now();
    const result = await call(world.http, ofTest(user), 'getRoom', { params: { room_id: id } });
    if (result.outcome !== 'ok') throw new Error(`getRoom was answered with ${result.code}.`);
    const room = v.parse(roomSchema, result.data);
    const [participants, messages, changes, start, end, inTable] = await Promise.all([
      pages(user, 'listParticipants', id, participantsSchema),
      pages(user, 'listMessages', id, messagesSchema),
      pages(user, 'listMessageChanges', id, changesSchema),
      world.table.scheduled(id, 'start'),
      world.table.scheduled(id, 'end'),
      world.table.room(id),
    ]);
    const attached = new Set(messages.flatMap(({ attachment }) => attachment?.file_id ?? []));
    const files = await Promise.all(
      [...attached].map(async (file) => {
        const { outcome, digest = '' } = await download({ url: world.http, tokens: ofTest(user), roomId: id }, file);
        if (outcome === 'unknown') throw new Error(`${file} could not be read.`);
        return [file, digest] as const;
      }),
    );
    return [
      name,
      {
        starts: timeOf(room.start_time),
        ends: room.end_time === null ? null : timeOf(room.end_time),
        read,
        status: room.status,
        participants: participants.map((each) => ({
          user: each.participant_id,
          admin: each.is_admin,
          online: each.online,
          read: each.read_to,
        })),
        messages: messages.map((each) => ({
          message_id: each.message_id,
          sender: each.sender_id,
          key: each.client_message_id,
          ...(each.attachment && { file: each.attachment.file_id }),
          sent: timeOf(each.sent_at),
          text: each.text,
          change: each.change,
          ...(each.deleted_by !== null && { deletedBy: each.deleted_by }),
        })),
        changes,
        schedules: {
          ...(start !== undefined && { start: timeOf(start) }),
          ...(end !== undefined && { end: timeOf(end) }),
        },
        sockets: inTable?.connections.map(nameOf) ?? [],
        files: Object.fromEntries(files),
      },
    ];
  }

  async function finalState(): Promise<FinalState> {
    const at = recorder.now();
    return { at, rooms: Object.fromEntries(await Promise.all(rooms.map(finalRoom))) };
  }

  /** Sends a message to a live room from a socket that has not joined. Its delivery detects lost connections. */
  async function touch({ id, plan: { name, clients } }: Room, time: number): Promise<void> {
    const [user] = (await world.table.room(id))?.admins ?? [];
    const plan = clients.find((each) => each.user === user);
    if (user === undefined || !plan) return;
    const key = `${name}-touch${time}`;
    for (let tried = 0; tried < 3; tried += 1) {
      const token = await ofTest(user).get();
      const operation = recorder.begin({
        kind: 'send',
        user,
        client: `${name}-touch`,
        room: name,
        key,
        limit: FRAME_LIMIT_MS,
      });
      const reply = await oneFrame(world.ws, token, {
        action: 'message',
        request_id: key,
        room_id: id,
        client_message_id: key,
        text: key,
      });
      const parsed = v.safeParse(
        v.object({
          ok: v.boolean(),
          error: v.optional(v.object({ code: v.string() })),
          data: v.optional(v.object({ message_id: v.string() })),
        }),
        reply,
      );
      if (!parsed.success) {
        recorder.settle(operation, { outcome: 'unknown', code: 'lost' });
        continue;
      }
      const { ok, error, data } = parsed.output;
      const code = error?.code;
      recorder.settle(operation, {
        outcome: ok ? 'ok' : code === 'internal' || code === 'try_again' ? 'unknown' : 'fail',
        ...(code !== undefined && { code }),
        ...(data && { message_id: data.message_id }),
      });
      if (operation.outcome !== 'unknown') return;
    }
  }

  async function converge(): Promise<number | undefined> {
    const isPending = ({ outcome }: Operation): boolean => outcome === 'pending';
    const deadline = recorder.now() + CONVERGE_MS;
    let touched = Number.NEGATIVE_INFINITY;
    for (let time = 0; recorder.now() < deadline; ) {
      await sleep(1_000);
      if (recorder.now() - touched > TOUCH_MS) {
        touched = recorder.now();
        time += 1;
        await Promise.all(rooms.map((room) => touch(room, time)));
      }
      await sample().catch(() => {});
      if (history.operations.some(isPending)) continue;
      try {
        history.final = await finalState();
      } catch {
        continue;
      }
      if (check(history, ['complete', 'changes', 'converges']).length === 0) return recorder.now() - history.calm;
    }
    return undefined;
  }

  await Promise.all([...plan.rooms.map(playRoom), playFaults(), until(plan.length)]);
  faults.stop();
  history.calm = recorder.now();
  for (const { clients } of rooms) for (const client of clients) client.thaw();
  const convergedAfter = await converge();
  // Neither later events nor the end of the clients belong to the history.
  const kept = structuredClone(history);
  delays.disable();
  kept.stall = Math.round(delays.max / 1e6);
  stopping.abort();
  await sampling;
  await Promise.all(rooms.flatMap(({ clients }) => clients.map((client) => client.stop())));
  return { history: kept, convergedAfter };
}

/** Opens a WebSocket, sends one frame, and returns the reply. Undefined without a reply in time. */
async function oneFrame(url: string, token: string, frame: object): Promise<unknown> {
  const socket = new WebSocket(url, ['rooms.v1', `bearer.${token}`], { handshakeTimeout: 20_000 });
  try {
    return await new Promise<unknown>((resolve) => {
      const timer = setTimeout(() => resolve(undefined), FRAME_LIMIT_MS - 1_000);
      const done = (reply: unknown): void => {
        clearTimeout(timer);
        resolve(reply);
      };
      socket.on('error', () => done(undefined));
      socket.on('close', () => done(undefined));
      socket.on('open', () => socket.send(JSON.stringify(frame)));
      socket.on('message', (data) => done(JSON.parse(String(data))));
    });
  } finally {
    socket.on('error', () => {});
    socket.terminate();
  }
}
