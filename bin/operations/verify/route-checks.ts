import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { v7 as uuid } from 'uuid';
import * as v from 'valibot';
import { allRoutes } from '../../../core/contract/index.ts';
import type { Route } from '../../../core/contract/route.ts';
import { type Check, percentiles, quantile } from './check.ts';
import { CheckFailed, must, NotShown } from './outcome.ts';
import { randomUser, upload } from './service-checks.ts';
import type { Session } from './session.ts';

/*
 * Checks of the latency of each route, warm and after a cold start.
 */

interface Sample {
  readonly path: string;
  readonly body?: unknown;
}

/** The objects of sample requests. They are created once, for all routes. */
interface World {
  readonly room_id: string;
  /** A participant without rights. It is not a real user. */
  readonly participant: string;
  readonly file_id: string;
  /** Messages of the caller: one to edit, and one to delete. */
  readonly message_id: string;
  readonly deleted_id: string;
  readonly session: Session;
}

/** Prepares and returns the nth request to a route. Only the request is measured. */
type Sampler = (world: World, n: number) => Sample | Promise<Sample>;

const inRoom = (path: string, body?: unknown): Sampler => {
  return ({ room_id }) => ({ path: path.replace('ROOM', room_id), ...(body !== undefined && { body }) });
};
const admin: Sampler = ({ room_id, participant }) => ({
  path: `/admin/room/${room_id}/participant/${participant}/admin`,
});

/** Lifetime in milliseconds of a room that its admin leaves. */
const LEFT_ROOM_MS = 60_000;

/** Sample requests by operation. Each succeeds any number of times. */
export const samplers: Readonly<Record<string, Sampler>> = {
  createRoom: ({ session }) => ({ path: '/room', body: session.newRoom() }),
  changeRoom: ({ room_id }, n) => ({ path: `/admin/room/${room_id}`, body: { description: `change ${n}` } }),
  endRoom: async ({ session }) => {
    const [spare] = [...session.spareRooms];
    const room_id = spare ?? (await session.createRoom());
    session.spareRooms.delete(room_id);
    return { path: `/admin/room/${room_id}` };
  },
  addParticipants: ({ room_id, participant }) => ({
    path: `/admin/room/${room_id}/participant`,
    body: { participant_ids: [participant] },
  }),
  removeParticipants: async ({ session, room_id }) => {
    const participant_ids = [randomUser()];
    await session.data('POST', `/admin/room/${room_id}/participant`, { body: { participant_ids } });
    return { path: `/admin/room/${room_id}/participant?participant_id=${participant_ids[0]}` };
  },
  setRole: ({ room_id, participant }) => ({
    path: `/admin/room/${room_id}/participant/${participant}`,
    body: { role: 'member' },
  }),
  grantAdmin: admin,
  revokeAdmin: admin,
  listRooms: () => ({ path: '/participant/room' }),
  getRoom: inRoom('/participant/room/ROOM'),
  leaveRoom: async ({ session }) => {
    const participant = randomUser();
    const end_time = new Date(Date.now() + LEFT_ROOM_MS).toISOString();
    const room_id = await session.createRoom({ participant_ids: [participant], end_time });
    await session.data('POST', `/admin/room/${room_id}/participant/${participant}/admin`);
    // The check cannot end this room, because its admin has left. It ends at its end time.
    session.openRooms.delete(room_id);
    return { path: `/participant/room/${room_id}` };
  },
  listParticipants: inRoom('/participant/room/ROOM/participant'),
  updateProfile: ({ room_id }, n) => ({
    path: `/participant/room/${room_id}/userprofile`,
    body: { username: `verify ${n}` },
  }),
  markRead: inRoom('/participant/room/ROOM/read', { message_id: '01KJPWK0F03YV98J9N016TWRVK' }),
  listMessages: inRoom('/participant/room/ROOM/chat'),
  editMessage: ({ room_id, message_id }, n) => ({
    path: `/participant/room/${room_id}/chat/${message_id}`,
    body: { text: `edit ${n}` },
  }),
  deleteMessage: ({ room_id, deleted_id }) => ({ path: `/participant/room/${room_id}/chat/${deleted_id}` }),
  listMessageChanges: inRoom('/participant/room/ROOM/chat/change'),
  createUpload: inRoom('/participant/room/ROOM/upload?name=verify.txt&size=6&content_type=text/plain'),
  createDownload: ({ room_id, file_id }) => ({ path: `/participant/room/${room_id}/download?file_id=${file_id}` }),
};

const worlds = new WeakMap<Session, Promise<World>>();

function worldOf(session: Session): Promise<World> {
  const make = async (): Promise<World> => {
    const participant = randomUser();
    const room_id = await session.createRoom({ participant_ids: [participant] });
    const { file_id, put } = await upload(session, room_id);
    must((await put()) === 200, 'the file could not be uploaded');
    const socket = await session.join(room_id);
    const post = async () => {
      const frame = { room_id, client_message_id: randomUUID(), text: 'verify' };
      return v.parse(v.object({ message_id: v.string() }), await socket.data('message', frame)).message_id;
    };
    const [message_id, deleted_id] = [await post(), await post()];
    socket.drop();
    return { session, room_id, participant, file_id, message_id, deleted_id };
  };
  const world = worlds.get(session) ?? make();
  worlds.set(session, world);
  return world;
}

/** Interval between two requests, in milliseconds. Long enough for the throttles of all routes in `dev`. */
const INTERVAL_MS = 125;

const latencyOf = (route: Route): Check => ({
  name: `latency-${route.operation}`,
  proves: `${route.method} ${route.path} succeeds, with this latency from here.`,
  how: 'sequential requests over one connection; the first is not counted, because it can cause a cold start',
  seconds: 180,
  async run(session, signal) {
    const sampler = samplers[route.operation];
    if (!sampler) throw new CheckFailed('there is no sample request for this route');
    const world = await worldOf(session);
    const samples: number[] = [];
    for (let n = 0; n <= session.target.requests; n++) {
      const { path, body } = await sampler(world, n);
      const started = performance.now();
      const { status, codes, data, ms } = await session.call(route.method, path, { body, signal });
      must(status === route.status, `request ${n + 1} returned ${status} ${codes.join(', ')}`);
      if (route.operation === 'createRoom') session.spareRooms.add(session.noteRoom(data));
      if (n > 0) samples.push(ms);
      await sleep(Math.max(0, started + INTERVAL_MS - performance.now()), undefined, { signal });
    }
    const slowest = quantile(samples, 0.99);
    must(slowest <= session.target.maxP99, `p99 is ${Math.round(slowest)} ms, above ${session.target.maxP99}`);
    return `${percentiles(samples)} of ${samples.length}`;
  },
});

/** Number of parallel invocations of each function. Invocations without a warm environment cause cold starts. */
const PARALLEL = 5;

/** Matches the duration of a cold start in Lambda's report, which is text or JSON. */
const INIT_DURATION = /Init Duration: ([\d.]+) ms|"initDurationMs":\s*([\d.]+)/;

const coldStart: Check = {
  name: 'cold-start',
  proves: 'The duration of a cold start of the functions of the HTTP API (INIT).',
  how: `invokes each function ${PARALLEL} times in parallel, with a request about a room that does not exist, and reads Lambda's report`,
  lacks: { ministack: 'ministack writes no report for an invocation', local: 'the functions are not on Lambda' },
  seconds: 180,
  async run(session, signal) {
    const { deployed } = session.target;
    if (!deployed) throw new NotShown('needs to invoke functions: specify --env');
    if (!deployed.functionsOf) throw new NotShown('the functions are not on Lambda');
    const lambda = new LambdaClient();
    const functions = await deployed.functionsOf(allRoutes.map(({ operation }) => operation));
    must(functions.size === allRoutes.length, `the stack has ${functions.size} of ${allRoutes.length} functions`);
    const starts: number[] = [];
    let without = 0;
    for (const route of allRoutes) {
      const invoke = () =>
        lambda.send(
          new InvokeCommand({
            FunctionName: functions.get(route.operation),
            LogType: 'Tail',
            Payload: Buffer.from(harmless(route, session.user.id)),
          }),
          { abortSignal: signal },
        );
      const results = await Promise.all(Array.from({ length: PARALLEL }, invoke));
      const found = results.flatMap(({ FunctionError, LogResult = '' }) => {
        must(FunctionError === undefined, `${route.operation} failed: ${FunctionError}`);
        const match = INIT_DURATION.exec(Buffer.from(LogResult, 'base64').toString());
        return match ? [Number(match[1] ?? match[2])] : [];
      });
      if (found.length === 0) without++;
      starts.push(...found);
    }
    must(starts.length > 0, `none of ${PARALLEL * functions.size} invocations reported a cold start`);
    return `INIT ${percentiles(starts)} of ${starts.length} cold starts${without > 0 ? `; no cold start of ${without} functions` : ''}`;
  },
};

/**
 * Returns an event of API Gateway that causes no change: its room does not exist, and the name for a new room is
 * missing.
 */
function harmless({ method, path }: Route, user: string): string {
  const room_id = uuid();
  const pathParameters = { room_id, participant_id: user };
  const filled = path.replace('{room_id}', room_id).replace('{participant_id}', user);
  return JSON.stringify({
    version: '2.0',
    routeKey: `${method} ${path}`,
    rawPath: filled,
    rawQueryString: '',
    headers: { host: 'verify', 'content-type': 'application/json' },
    requestContext: {
      requestId: uuid(),
      routeKey: `${method} ${path}`,
      stage: '$default',
      authorizer: { jwt: { claims: { sub: user }, scopes: null } },
      http: { method, path: filled },
    },
    ...(path.includes('{') && { pathParameters }),
    isBase64Encoded: false,
  });
}

export const coldStartChecks: readonly Check[] = [coldStart];
export const routeChecks: readonly Check[] = allRoutes.map(latencyOf);
