import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { APIGatewayRequestAuthorizerEvent } from 'aws-lambda';
import * as v from 'valibot';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { allRoutes } from '../../core/contract/index.ts';
import { metrics, NAMESPACE } from '../../core/contract/metrics.ts';
import { actions } from '../../core/contract/realtime.ts';
import { enterLane } from '../../core/store/lane.ts';
import { handler as announce } from '../../functions/events/announce.ts';
import { handler as deliverMessages } from '../../functions/events/deliver-messages.ts';
import { handler as roomChanges } from '../../functions/events/room-changes.ts';
import { handler as authorizer } from '../../functions/realtime/authorizer.ts';
import { handler as connect } from '../../functions/realtime/connect.ts';
import { bundle, folderOf } from '../../lib/bundle.ts';
import { allEntries } from '../../lib/entries.ts';
import { context, TOKEN } from '../fixtures/event.ts';
import { sampleCalls } from '../fixtures/samples.ts';
import { data, invoke, refusal } from '../support/invoke.ts';
import { type Issuer, startIssuer } from '../support/issuer.ts';
import { runLanes } from '../support/lanes.ts';
import { logged } from '../support/logs.ts';
import { type Management, startManagement } from '../support/management.ts';
import { runEventFunction } from '../support/run-event-function.ts';
import { sampleRoomOf } from '../support/sample-room.ts';
import { type Services, startServices } from '../support/services.ts';
import {
  disconnect,
  invokeAction,
  invokeUnknownAction,
  joined,
  newSocket,
  refusedWith,
  socketEvent,
} from '../support/socket.ts';
import { changesIn, messagesIn, recorded } from '../support/stream.ts';
import { at, newRoom } from '../support/world.ts';

/* What operators see: one log line per request, and the metrics that functions write to standard output. */

/** DynamoDB Local truncates the time of a record to the minute. The rest is for the test itself. */
const MAX_RECORD_LAG_MS = 60_000 + 10_000;

let issuer: Issuer;
let management: Management;
let services: Services;
beforeAll(async () => {
  [issuer, management, services] = await Promise.all([startIssuer(), startManagement(), startServices()]);
  Object.assign(process.env, {
    CALLBACK_URL: management.url,
    ISSUER: issuer.url,
    AUDIENCE: 'rooms',
  });
});
afterAll(() => Promise.all([issuer.close(), management.close(), services.close()]));

/**
 * What CloudWatch requires of a line (the JSON schema of its specification), and what our dashboard and alarms require.
 */
const positive = v.pipe(v.number(), v.gtValue(0));
const measured = v.pipe(v.array(v.pipe(v.number(), v.minValue(0))), v.minLength(1), v.maxLength(100));
const line = v.pipe(
  v.looseObject({
    _aws: v.strictObject({
      Timestamp: v.pipe(v.number(), v.integer()),
      CloudWatchMetrics: v.tuple([
        v.strictObject({
          Namespace: v.literal(NAMESPACE),
          Dimensions: v.tuple([
            v.pipe(v.array(v.picklist(['environment', 'service', 'code', 'reader'])), v.minLength(2)),
          ]),
          Metrics: v.pipe(
            v.array(
              v.strictObject({ Name: v.picklist(Object.keys(metrics)), Unit: v.picklist(['Count', 'Milliseconds']) }),
            ),
            v.minLength(1),
          ),
        }),
      ]),
    }),
    environment: v.literal('test'),
    service: v.picklist(['http', 'websocket', 'events']),
    code: v.optional(v.string()),
    reader: v.optional(v.picklist(['deliver-messages', 'room-changes', 'lane'])),
  }),
  v.check(({ _aws, ...rest }) => {
    const [{ Dimensions, Metrics }] = _aws.CloudWatchMetrics;
    const values: Record<string, unknown> = rest;
    const named = [...Dimensions[0], ...Metrics.map(({ Name }) => Name)];
    return (
      Dimensions[0].every((name) => typeof values[name] === 'string') &&
      // CloudWatch accepts at most 100 values per metric in a line.
      Metrics.every(({ Name }) => v.is(v.union([positive, measured]), values[Name])) &&
      Object.keys(values).every((name) => named.includes(name))
    );
  }, 'every dimension and metric has its value beside it, and nothing else stands there'),
);

/** Runs `work`, and returns the metrics that CloudWatch would extract from its standard output. */
async function counted(work: () => Promise<unknown>, environment = 'test') {
  const written: string[] = [];
  vi.stubEnv('METRICS_ENVIRONMENT', environment);
  const stdout = vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
    written.push(String(chunk));
    return true;
  });
  try {
    await work();
  } finally {
    stdout.mockRestore();
    vi.unstubAllEnvs();
  }
  const lines = written.join('').split('\n');
  // The last line ends with a line feed, so that later output starts a new line.
  expect(lines.pop()).toBe('');
  return lines.map((text) => {
    const { _aws, environment: _, ...values } = v.parse(line, JSON.parse(text));
    for (const { Name, Unit } of _aws.CloudWatchMetrics[0].Metrics)
      expect(Unit).toBe(new Map<string, string>(Object.entries(metrics)).get(Name));
    expect(Math.abs(_aws.Timestamp - Date.now())).toBeLessThan(60_000);
    return values;
  });
}

describe('metrics', () => {
  beforeEach(() => management.reset());

  test('count rooms that are created and ended, when they are announced', async () => {
    const ended = async () => {
      const { room_id, admin } = await newRoom();
      await data('endRoom', { as: admin, params: { room_id } });
    };
    const records = await recorded(async () => {
      await newRoom();
      await ended();
    });
    const found = await counted(() =>
      runEventFunction('room-changes', (context) => roomChanges(changesIn(records), context)),
    );
    const total = (name: string) => found.reduce((sum, each) => sum + Number(Reflect.get(each, name) ?? 0), 0);
    expect([total('RoomsCreated'), total('RoomsEnded')]).toEqual([2, 1]);
    for (const { service } of found) expect(service).toBe('events');
  });

  test('count rooms whose end time is reached', async () => {
    const { room_id, admin } = await newRoom();
    const { end_time } = await data('endRoom', { as: admin, params: { room_id } });
    const announcement = { room_id, moment: 'end', time: end_time ?? '' } as const;
    expect(await counted(() => runEventFunction('announce', (context) => announce(announcement, context)))).toEqual([
      { service: 'events', RoomsEnded: 1 },
    ]);
  });

  test('count a room after all events were sent, not on a failed attempt', async () => {
    const records = await recorded(() => newRoom());
    Object.assign(services.broken, { events: true, sqs: true });
    expect(
      await counted(() => runEventFunction('room-changes', (context) => roomChanges(changesIn(records), context))),
    ).toEqual([]);
    services.reset();
    expect(
      await counted(() => runEventFunction('room-changes', (context) => roomChanges(changesIn(records), context))),
    ).toEqual([
      { service: 'events', RoomsCreated: 1 },
      // The room and its two participants.
      { service: 'events', reader: 'room-changes', StoredToDelivered: Array(3).fill(expect.any(Number)) },
    ]);
  });

  test('count messages, recipients, latency, and connections that are gone or unresponsive', async () => {
    const { room_id, admin, member } = await newRoom();
    const [, gone, unresponsive] = [
      await joined(room_id, admin),
      await joined(room_id, member),
      await joined(room_id, member),
    ];
    management.respondWith(gone.connection_id, 410);
    management.respondWith(unresponsive.connection_id, 500);
    const sender = newSocket(admin);
    const records = await recorded(async () => {
      for (const text of ['one', 'two'])
        await invokeAction('message', sender, { room_id, client_message_id: randomUUID(), text });
    });
    const found = await counted(() =>
      runEventFunction('deliver-messages', (context) => deliverMessages(messagesIn(records), context)),
    );
    expect(found).toEqual([
      { service: 'events', ConnectionsGone: 1, DeliveriesFailed: 1 },
      { service: 'events', MessagesSent: 2, Receivers: 1, FanOutTime: expect.any(Number) },
      { service: 'events', reader: 'deliver-messages', StoredToDelivered: [expect.any(Number), expect.any(Number)] },
    ]);
    const late = await counted(() =>
      at(Date.now() + 5_000, () =>
        runEventFunction('deliver-messages', (context) => deliverMessages(messagesIn(records), context)),
      ),
    );
    for (const value of late.flatMap((each) => Reflect.get(each, 'StoredToDelivered') ?? [])) {
      expect(value).toBeGreaterThanOrEqual(5_000);
      expect(value).toBeLessThan(5_000 + MAX_RECORD_LAG_MS);
    }
    expect(late.some((each) => 'reader' in each)).toBe(true);
  });

  test('measure events in a lane when the lane delivers them, and not before', async () => {
    const { room_id, admin, member } = await newRoom();
    await joined(room_id, member);
    for (const feed of ['messages', 'changes'] as const) await enterLane({ feed, room_id });
    const records = await recorded(async () => {
      await data('changeRoom', { as: admin, params: { room_id }, body: { name: 'another' } });
      await invokeAction('message', newSocket(admin), { room_id, client_message_id: randomUUID(), text: 'one' });
    });
    const read = await counted(async () => {
      await runEventFunction('room-changes', (context) => roomChanges(changesIn(records), context));
      await runEventFunction('deliver-messages', (context) => deliverMessages(messagesIn(records), context));
    });
    expect(read).toEqual([{ service: 'events', MessagesSent: 1 }]);
    const delivered = await counted(() => at(Date.now() + 2_000, () => runLanes()));
    const times = delivered.filter((each) => 'reader' in each);
    expect(times.map((each) => Reflect.get(each, 'reader'))).toEqual(['lane', 'lane']);
    for (const value of times.flatMap((each) => Reflect.get(each, 'StoredToDelivered'))) {
      expect(value).toBeGreaterThanOrEqual(2_000);
      expect(value).toBeLessThan(2_000 + MAX_RECORD_LAG_MS);
    }
  });

  test('count connections that are opened and closed', async () => {
    const socket = newSocket('alice');
    const { requestContext } = socketEvent('$connect', socket);
    const opened = await counted(() => logged(() => connect({ requestContext })));
    expect(opened).toEqual([{ service: 'websocket', ConnectionsOpened: 1 }]);
    expect(await counted(() => disconnect(socket))).toEqual([{ service: 'websocket', ConnectionsClosed: 1 }]);
  });

  test('count errors by code: of requests, of frames, and of an unreachable issuer', async () => {
    const { room_id, outsider, member } = await newRoom();
    const refused = (service: string, code: string) => [{ service, code, Refused: 1 }];
    expect(await counted(() => refusal('getRoom', { as: outsider, params: { room_id } }))).toEqual(
      refused('http', 'not_a_participant'),
    );
    expect(await counted(() => refusedWith('join', newSocket(outsider), { room_id }))).toEqual(
      refused('websocket', 'not_a_participant'),
    );
    issuer.health.discovery = 'down';
    const asked = () => logged(() => authorizer(handshake('x.y.z')).catch(() => undefined));
    expect(await counted(asked)).toEqual(refused('websocket', 'internal'));
    issuer.health.discovery = 'well';
    expect(await counted(asked)).toEqual([]);
    // API Gateway counts successful requests.
    expect(await counted(() => data('getRoom', { as: member, params: { room_id } }))).toEqual([]);
  });

  test('are not written if they are turned off', async () => {
    const { room_id, outsider } = await newRoom();
    expect(await counted(() => refusal('getRoom', { as: outsider, params: { room_id } }), '')).toEqual([]);
  });
});

test('a bundle in its own process writes one log line and one metrics line, and nothing else', () => {
  const { requestContext } = socketEvent('$connect', newSocket('alice'));
  const file = join(folderOf(bundle(allEntries), 'connect'), 'index.js');
  const script = `const { default: module } = await import(process.argv[1]); await module.handler(JSON.parse(process.argv[2]));`;
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ['--input-type=module', '--eval', script, pathToFileURL(file).href, JSON.stringify({ requestContext })],
    { env: { METRICS_ENVIRONMENT: 'test' }, encoding: 'utf8' },
  );
  expect([status, stderr]).toEqual([0, '']);
  const [metric = '', ...log] = stdout.trimEnd().split('\n');
  expect(v.parse(line, JSON.parse(metric))).toMatchObject({ service: 'websocket', ConnectionsOpened: 1 });
  // Lambda would log this entry as JSON. Node prints it as an object.
  expect(log.join(' ')).toMatch(/^\{.*action: 'connect'.*user: 'alice'.*\}$/);
});

/** The event with which API Gateway invokes the authorizer for a handshake. */
const handshake = (token: string): APIGatewayRequestAuthorizerEvent => {
  const { requestContext } = socketEvent('$connect', newSocket('nobody'));
  return {
    type: 'REQUEST',
    methodArn: 'arn:aws:execute-api:us-east-1:000000000000:abc/v1/$connect',
    headers: { Authorization: `Bearer ${token}` },
    requestContext,
  } as unknown as APIGatewayRequestAuthorizerEvent;
};

describe('the log', () => {
  test('has one line per HTTP request, with IDs, route, user, status and duration, but no input', async () => {
    const seen = new Set<string>();
    for (const { operation, request } of sampleCalls(await sampleRoomOf(3))) {
      const { log, requestId, status } = await invoke(operation, request);
      const route = allRoutes.find((each) => each.operation === operation);
      seen.add(operation);
      expect(log).toEqual({
        level: 'info',
        entry: {
          operation,
          route: `${route?.method} ${route?.path}`,
          status,
          code: undefined,
          api_request_id: requestId,
          user: request.as,
          room_id: request.params?.room_id,
          duration_ms: expect.any(Number),
        },
      });
    }
    expect(seen.size).toBe(allRoutes.length);
  });

  test('has one line per rejected request, with the reason', async () => {
    const { room_id, outsider } = await newRoom();
    const { log } = await invoke('changeRoom', { as: outsider, params: { room_id }, body: { name: 'SECRET' } });
    expect(log).toMatchObject({ level: 'info', entry: { status: 403, code: 'not_a_participant', user: outsider } });
    expect(JSON.stringify(log)).not.toMatch(/SECRET/);
  });

  test('has one line per action, with IDs and user, for success and failure', async () => {
    const { room_id, member, outsider } = await newRoom();
    for (const [user, code] of [
      [member, 'ok'],
      [outsider, 'not_a_participant'],
    ] as const) {
      const socket = newSocket(user);
      for (const action of ['join', 'message', 'typing', 'leave', 'ping', 'subscribe'] as const) {
        const isInRoom = action !== 'ping' && action !== 'subscribe';
        const frame = {
          room_id,
          ...(action === 'message' && { client_message_id: randomUUID(), text: 'SECRET' }),
          ...(action === 'typing' && { typing: true }),
        };
        const { log } = await invokeAction(action, socket, isInRoom ? frame : {});
        const isAbout = action === 'join' || action === 'message' || action === 'typing';
        expect(log).toEqual({
          level: 'info',
          entry: {
            action,
            code: isAbout ? code : 'ok',
            api_request_id: expect.any(String),
            connection_id: socket.connection_id,
            user,
            room_id: isInRoom ? room_id : undefined,
            duration_ms: expect.any(Number),
          },
        });
        expect(JSON.stringify(log)).not.toMatch(/SECRET/);
      }
    }
    expect(Object.keys(actions)).toHaveLength(6);
    const { log } = await invokeUnknownAction(newSocket(member), '{"action":"SECRET"}');
    expect(log).toMatchObject({ level: 'info', entry: { action: '$default', code: 'invalid_request', user: member } });
    expect(JSON.stringify(log)).not.toMatch(/SECRET/);
  });

  test('has one line per handshake, with IDs and the user or the reason, but no token', async () => {
    const tokens = [
      [await issuer.token({ sub: 'alice' }), { user: 'alice' }],
      [await issuer.token({ aud: 'account' }), { refused: 'audience' }],
      [TOKEN, { refused: expect.any(String) }],
    ] as const;
    for (const [token, outcome] of tokens) {
      const event = handshake(token);
      const { lines } = await logged(() => authorizer(event).catch(() => undefined));
      const { requestId: api_request_id, connectionId: connection_id } = event.requestContext;
      expect(lines).toEqual([
        { level: 'info', entry: { action: 'authorize', api_request_id, connection_id, ...outcome } },
      ]);
      for (const part of token.split('.')) expect(JSON.stringify(lines)).not.toContain(part);
    }
  });

  test('has one line per connect and disconnect, with IDs and user', async () => {
    const socket = newSocket('alice');
    const event = socketEvent('$connect', socket);
    const headers = { 'Sec-WebSocket-Protocol': `rooms.v1, bearer.${TOKEN}` };
    const { lines } = await logged(() => connect({ headers, requestContext: event.requestContext }));
    const { requestId: api_request_id } = event.requestContext;
    const { connection_id } = socket;
    expect(lines).toEqual([
      { level: 'info', entry: { action: 'connect', api_request_id, connection_id, user: 'alice' } },
    ]);
    expect(context.functionName).toBe('rooms-test');
  });
});
