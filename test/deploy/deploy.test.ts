import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import {
  DeleteRuleCommand,
  PutRuleCommand,
  PutTargetsCommand,
  RemoveTargetsCommand,
} from '@aws-sdk/client-eventbridge';
import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import { CreateQueueCommand, DeleteQueueCommand, ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import * as v from 'valibot';
import { afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { allRoutes } from '../../core/contract/index.ts';
import { batchSize } from '../../core/realtime/batches.ts';
import { requestToken } from '../../local/oidc/oidc-issuer.ts';
import { type Client, connect, hangUp, Refused } from '../e2e/socket-client.ts';
import {
  ALICE,
  BOB,
  callersOf,
  createRoom,
  forgedTokens,
  session,
  transfer,
  UNACCEPTABLE_CLAIMS,
} from '../support/scenario.ts';
import { type Inventory, inventory, logged, operator, reachable } from './aws.ts';
import { cdk } from './cdk.ts';
import { ACCOUNT, CREDENTIALS, REGION } from './emulator.ts';
import { progress } from './progress.ts';
import { verify } from './verify.ts';

/*
 * Deploys the CDK app to ministack, an emulated AWS. The emulator checks signatures and the permissions of the roles of functions, the
 * CDK and schedules. emulator.py adds the check of partition keys in policies. The emulator runs the real bundles behind API Gateway,
 * streams, queues and the Scheduler.
 *
 * Comments that begin with "Emulator:", here and in emulator.py, describe differences from AWS. These apply to the whole file:
 * - It serves all host names of AWS itself, so the tests rewrite the URLs of the stacks.
 * - It does not enforce throttling, reserved concurrency, log retention, time to live or the ARM architecture.
 * - It does not check permissions to read streams and queues, `iam:PassRole`, or trust policies. test/infrastructure checks these.
 */

const given = inject('deployment');
const outOfReach = 'outOfReach' in given ? given.outOfReach : undefined;

/** The tests share their deployments, but no other state. */
describe.skipIf(outOfReach !== undefined)(
  `deployed${outOfReach === undefined ? '' : ` (skipped: ${outOfReach})`}`,
  () => {
    if ('outOfReach' in given) {
      // Without this test, the report would not show that tests were skipped.
      test('to an emulated AWS', () => {});
      return;
    }
    const reached = (): Extract<typeof given, { target: unknown }> => {
      if ('failure' in given) throw new Error(given.failure);
      return given;
    };
    const AUDIENCE = 'rooms';
    const OTHER_AUDIENCE = 'rooms-cli';

    const outputsSchema = v.object({
      'rooms-dev-data': v.object({ BucketName: v.string(), TableName: v.string() }),
      'rooms-dev-http': v.object({ HttpApiUrl: v.string() }),
      'rooms-dev-realtime': v.object({ WebSocketUrl: v.string(), EventBusName: v.string() }),
    });
    let outputs: v.InferOutput<typeof outputsSchema>;
    const served = () => ({ http: reachable(outputs['rooms-dev-http'].HttpApiUrl, reached().target), issuer });
    const sockets = () => reachable(outputs['rooms-dev-realtime'].WebSocketUrl, reached().target);
    let issuer = '';
    /** The resources in the account before the first deployment. */
    let bare: Inventory;
    const callers = callersOf(served);
    const { call, tokenOf } = callers;
    /** ID of a room that is created before the second deployment and read after it. */
    let kept = '';

    async function deploy(audience: string): Promise<void> {
      const { target } = reached();
      const file = join(target.directory, 'outputs.json');
      const options = ['--all', '--require-approval', 'never', '--outputs-file', file];
      await cdk(target, { issuer, audience }, 'deploy', ...options);
      outputs = v.parse(outputsSchema, JSON.parse(readFileSync(file, 'utf8')));
    }

    beforeAll(async () => {
      const { target, issuer: url } = reached();
      issuer = url;
      setDefaultCACertificates([...getCACertificates('default'), readFileSync(target.certificate, 'utf8')]);
      progress('cdk bootstrap');
      await cdk(target, { issuer }, 'bootstrap');
      bare = await inventory(target);
      progress('cdk deploy --all');
      await deploy(AUDIENCE);
      progress('Deployed; testing');
    });

    const clients: Client[] = [];
    afterEach(async () => {
      await hangUp(clients.splice(0));
    });
    // Emulator: it does not return the negotiated sub-protocol, so browsers would disconnect. Therefore, the tests send the token in the
    // Authorization header. Tests of the local stack send it as a sub-protocol.
    async function joined(user: string, room_id: string): Promise<Client> {
      const client = await connect(sockets(), { header: await tokenOf(user) });
      clients.push(client);
      await client.data('join', { room_id });
      return client;
    }
    const statusWith = async (token: string | undefined): Promise<number> => {
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
      return (await fetch(`${served().http}/participant/room`, { headers })).status;
    };

    describe('the HTTP API', () => {
      test('accepts a valid token, and rejects the others', async () => {
        const good = await tokenOf(ALICE);
        const claimed = UNACCEPTABLE_CLAIMS
          // Emulator: it accepts a token without `exp`, which AWS rejects.
          .filter(([what]) => what !== 'without an expiry')
          .map(async ([what, claims]) => [what, await requestToken(issuer, ALICE, claims)] as const);
        const bad = { ...Object.fromEntries(await Promise.all(claimed)), ...(await forgedTokens(issuer, good)) };
        const statuses = Object.entries(bad).map(async ([what, token]) => [what, await statusWith(token)] as const);
        expect(Object.fromEntries(await Promise.all(statuses))).toEqual(
          Object.fromEntries(Object.keys(bad).map((what) => [what, 401])),
        );
        expect(await statusWith(undefined)).toBe(401);
        expect(await statusWith(good)).toBe(200);
      });

      test('serves a session of two users with files, and covers all routes', async () => {
        await session(callers);
        await transfer(callers);
        // These routes need a message, which is sent over the WebSocket API. A later test covers them.
        const later = new Set(['editMessage', 'deleteMessage']);
        const others = allRoutes.map(({ operation }) => operation).filter((operation) => !later.has(operation));
        expect([...callers.succeeded].sort()).toEqual(others.sort());
      });

      test('accepts uploads up to the limit of the environment', async () => {
        const room = await createRoom(callers);
        const upload = (size: number) =>
          call(ALICE, 'GET', `/participant/room/${room}/upload?size=${size}&content_type=text/plain&name=a.txt`);
        expect((await upload(100 * 1024 * 1024)).status).toBe(200);
        expect(await upload(100 * 1024 * 1024 + 1)).toMatchObject({ status: 400, codes: ['invalid_request'] });
      });

      test('allows calls from pages of the environment’s origins only', async () => {
        const preflight = (origin: string) =>
          fetch(`${served().http}/room`, {
            method: 'OPTIONS',
            headers: {
              origin,
              'access-control-request-method': 'POST',
              'access-control-request-headers': 'authorization,content-type,idempotency-key',
            },
          });
        const allowed = await preflight('http://localhost:5173');
        expect(allowed.status).toBe(204);
        expect(allowed.headers.get('access-control-allow-origin')).toBe('http://localhost:5173');
        const refused = await preflight('https://elsewhere.example');
        expect(refused.headers.get('access-control-allow-origin')).toBeNull();
      });
    });

    describe('the WebSocket API', () => {
      test('rejects connections without a valid token', async () => {
        const outcome = async (credentials: Parameters<typeof connect>[1]): Promise<string> => {
          try {
            clients.push(await connect(sockets(), credentials));
            return 'connected';
          } catch (error) {
            if (error instanceof Refused) return 'refused';
            throw error;
          }
        };
        const expired = await requestToken(issuer, ALICE, { exp: 1_700_000_000 });
        const another = await requestToken(issuer, ALICE, { aud: 'another' });
        // Emulator: it responds with 500 if the authorizer throws, and AWS with 401. Therefore, the status is not checked.
        expect(await outcome(undefined)).toBe('refused');
        expect(await outcome({ header: expired })).toBe('refused');
        expect(await outcome({ header: another })).toBe('refused');
        expect(await outcome({ header: await tokenOf(ALICE) })).toBe('connected');
      });

      test('delivers chat, with a file, to all joined connections', async () => {
        const room_id = await createRoom(callers, [BOB]);
        const [a, b] = [await joined(ALICE, room_id), await joined(BOB, room_id)];
        await a.waitFor(room_id, 'peer_joined', 2);
        const text = 'Grüße 🦊\n"quoted"';
        const client_message_id = randomUUID();
        const reply = await a.data('message', { room_id, client_message_id, text });
        // A repeated message gets the same reply, and is not delivered again.
        expect(await a.data('message', { room_id, client_message_id, text })).toEqual(reply);
        for (const client of [a, b]) expect(await client.waitFor(room_id, 'message')).toMatchObject([{ data: reply }]);

        const query = 'name=plan.txt&size=4&content_type=text/plain';
        const { file_id, upload_url, headers } = v.parse(
          v.object({ file_id: v.string(), upload_url: v.string(), headers: v.record(v.string(), v.string()) }),
          (await call(ALICE, 'GET', `/participant/room/${room_id}/upload?${query}`)).data,
        );
        const withFile = { room_id, client_message_id: randomUUID(), attachment: { file_id } };
        expect(await a.refusal('message', withFile)).toBe('file_not_uploaded');
        expect((await fetch(upload_url, { method: 'PUT', headers, body: 'plan' })).status).toBe(200);
        const second = await a.data('message', withFile);
        const { message_id } = v.parse(v.object({ message_id: v.string() }), second);
        expect((await b.waitFor(room_id, 'message', 2))[1]).toMatchObject({ data: second as object });
        const download = await call(BOB, 'GET', `/participant/room/${room_id}/download?message_id=${message_id}`);
        const { download_url } = v.parse(v.object({ download_url: v.string() }), download.data);
        expect(await (await fetch(download_url)).text()).toBe('plan');
        const history = await call(BOB, 'GET', `/participant/room/${room_id}/chat?order=asc`);
        expect(history).toMatchObject({ status: 200, data: [reply, second] });

        const path = `/participant/room/${room_id}/chat/${message_id}`;
        const edited = await call(ALICE, 'PATCH', path, { text: 'The plan' });
        expect(edited).toMatchObject({ status: 200, data: { message_id, text: 'The plan', change: 1 } });
        expect(await b.waitFor(room_id, 'message_updated')).toMatchObject([{ data: edited.data as object }]);
        const deleted = await call(ALICE, 'DELETE', path);
        expect(deleted).toMatchObject({ status: 200, data: { message_id, text: null, attachments: [], change: 2 } });
        expect(await b.waitFor(room_id, 'message_deleted')).toMatchObject([{ data: deleted.data as object }]);
        expect(await (await fetch(download_url)).text()).not.toContain('plan');
      });

      test('replies to invalid frames, leaves rooms, and answers pings', async () => {
        const room_id = await createRoom(callers);
        const client = await joined(ALICE, room_id);
        expect(await client.refusal('shout')).toBe('invalid_request');
        expect(await client.sendRaw('no JSON')).toMatchObject({ ok: false, error: { code: 'invalid_request' } });
        expect(await client.data('leave', { room_id })).toEqual({ room_id });
        expect(await client.data('ping')).toMatchObject({ time: expect.any(String) });
      });

      test('delivers changes, and closes the sockets of removed users', async () => {
        const room_id = await createRoom(callers, [BOB]);
        const [a, b] = [await joined(ALICE, room_id), await joined(BOB, room_id)];
        const renamed = await call(ALICE, 'POST', `/admin/room/${room_id}`, { name: 'Retro' });
        for (const client of [a, b])
          expect(await client.waitFor(room_id, 'room_updated')).toMatchObject([{ data: renamed.data as object }]);
        await call(ALICE, 'POST', `/admin/room/${room_id}/participant/${BOB}/admin`);
        expect(await b.waitFor(room_id, 'participant_updated')).toMatchObject([
          { data: { participant_id: BOB, is_admin: true } },
        ]);
        await call(ALICE, 'DELETE', `/admin/room/${room_id}/participant`, { participant_ids: [BOB] });
        expect(await a.waitFor(room_id, 'participant_removed')).toMatchObject([{ data: { participant_id: BOB } }]);
        expect(await b.closed).toMatchObject({ code: 1000 });
      });

      test('delivers to a large room in several invocations', async () => {
        const room_id = await createRoom(callers, [BOB]);
        const [sender, client] = [await joined(ALICE, room_id), await joined(BOB, room_id)];
        await client.waitFor(room_id, 'peer_joined');
        await sender.waitFor(room_id, 'peer_joined', 2);
        // Adds two batches of closed connections, which sort before and after the open ones. So the open ones are in the batch of a fan-out.
        Object.assign(process.env, {
          AWS_REGION: REGION,
          AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
          AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
          AWS_ENDPOINT_URL_DYNAMODB: reached().target.endpoint,
          TABLE_NAME: outputs['rooms-dev-data'].TableName,
        });
        const { haveJoined } = await import('../fixtures/write-items.ts');
        const gone = (first: string) => Array.from({ length: batchSize(1) }, (_, n) => `${first}${n}=`);
        await haveJoined(room_id, [...gone('!'), ...gone('~')]);
        const reply = await sender.data('message', { room_id, client_message_id: randomUUID(), text: 'To all' });
        expect(await client.waitFor(room_id, 'message')).toMatchObject([{ data: reply }]);
        // Emulator: it logs the output of Node line by line.
        const told = new RegExp(
          `action: 'fan_out',\\s+room_id: '${room_id}',\\s+connections: ${batchSize(1)},\\s+sent: [12],`,
        );
        const lines = async () => (await logged(reached().target, 'FanOut')).join('\n');
        await expect.poll(lines, { timeout: 60_000, interval: 500 }).toMatch(told);
      });

      test('shows a participant as offline 10 seconds after the last connection is lost', async () => {
        const room_id = await createRoom(callers, [BOB]);
        const [a, b] = [await joined(ALICE, room_id), await joined(BOB, room_id)];
        await a.waitFor(room_id, 'peer_joined', 2);
        const died = Date.now();
        b.kill();
        expect(await a.waitFor(room_id, 'peer_left')).toMatchObject([{ data: { participant_id: BOB } }]);
        expect(Date.now() - died).toBeGreaterThanOrEqual(9_000);
      });

      test('announces a booked end when the schedule fires, and closes the sockets', async () => {
        const room_id = await createRoom(callers, [BOB]);
        const client = await joined(BOB, room_id);
        // Sets the end, then moves it, which updates the schedule.
        const later = { end_time: new Date(Date.now() + 3_600_000).toISOString() };
        expect((await call(ALICE, 'POST', `/admin/room/${room_id}`, later)).status).toBe(200);
        await client.waitFor(room_id, 'room_updated');
        const ending = await call(ALICE, 'DELETE', `/admin/room/${room_id}`, { time_left_in_seconds: 3 });
        const { end_time } = v.parse(v.object({ end_time: v.string() }), ending.data);
        expect(await client.waitFor(room_id, 'room_ended')).toMatchObject([
          { data: { room_id, status: 'ended', end_time } },
        ]);
        expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(end_time));
        expect(await client.closed).toMatchObject({ code: 1000 });
      });

      test('publishes the events for back ends on the event bus', async () => {
        const { sqs, events } = operator(reached().target);
        const QueueName = `back-end-${randomUUID()}`;
        const bus = { EventBusName: outputs['rooms-dev-realtime'].EventBusName };
        const QueueArn = `arn:aws:sqs:${REGION}:${ACCOUNT}:${QueueName}`;
        const Policy = JSON.stringify({
          Version: '2012-10-17',
          Statement: [
            {
              Effect: 'Allow',
              Principal: { Service: 'events.amazonaws.com' },
              Action: 'sqs:SendMessage',
              Resource: QueueArn,
            },
          ],
        });
        const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName, Attributes: { Policy } }));
        const EventPattern = JSON.stringify({ source: ['rooms'], 'detail-type': ['room_created'] });
        await events.send(new PutRuleCommand({ ...bus, Name: 'back-end', EventPattern }));
        await events.send(
          new PutTargetsCommand({ ...bus, Rule: 'back-end', Targets: [{ Id: 'queue', Arn: QueueArn }] }),
        );
        try {
          const room_id = await createRoom(callers);
          const received = async () => {
            const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 1 }));
            return Messages.map(({ Body = '' }) => JSON.parse(Body));
          };
          await expect
            .poll(received, { timeout: 60_000, interval: 100 })
            .toMatchObject([{ source: 'rooms', 'detail-type': 'room_created', detail: { room_id } }]);
        } finally {
          await events.send(new RemoveTargetsCommand({ ...bus, Rule: 'back-end', Ids: ['queue'] }));
          await events.send(new DeleteRuleCommand({ ...bus, Name: 'back-end' }));
          await sqs.send(new DeleteQueueCommand({ QueueUrl }));
        }
      });
    });

    test('passes npm run verify, except the checks that the emulator cannot pass', async () => {
      progress('npm run verify');
      const { code, report, named } = await verify(reached().target, {
        http: served().http,
        webSocket: sockets(),
        tokens: [await tokenOf(ALICE), await tokenOf(BOB)],
        args: ['--requests', '10'],
      });
      expect(report.results.filter(({ outcome }) => outcome === 'failed')).toEqual([]);
      expect(code, JSON.stringify(report)).toBe(0);
      // Emulator: these checks fail. If one of them passes, remove its exception from the check.
      expect(named('not_shown')).toEqual([
        'cold-start',
        'cors-401',
        'cors-429',
        'frame-over-32-kb',
        'message-over-128-kb',
        'sub-protocol-echo',
        'websocket-401',
        'websocket-authorizer',
      ]);
      expect(named('passed')).toEqual(
        [
          'disconnection',
          'frame-32-kb',
          'leading-keys-index',
          'leading-keys-transactions',
          'message-128-kb',
          'schedule-fires',
          'stream-lag',
          'upload-once',
          ...allRoutes.map(({ operation }) => `latency-${operation}`),
        ].sort(),
      );
      expect(report.rooms.created).toBeGreaterThan(10);
      expect(report.rooms.ended).toBe(report.rooms.created);
      const rooms = v.parse(
        v.array(v.object({ name: v.string(), status: v.string() })),
        (await call(ALICE, 'GET', '/participant/room?limit=200')).data,
      );
      const left = rooms.filter(({ name, status }) => name.startsWith('verify ') && status !== 'ended');
      expect(left).toEqual([]);
    });

    test('has no changes left to deploy', async () => {
      progress('cdk diff');
      const { target } = reached();
      // `--fail` makes the command fail if there is a difference.
      await cdk(target, { issuer, audience: AUDIENCE }, 'diff', '--fail');
    });

    test('keeps its data and addresses in a second deployment', async () => {
      kept = await createRoom(callers);
      const before = outputs;
      const later = { end_time: new Date(Date.now() + 3_600_000).toISOString() };
      expect((await call(ALICE, 'POST', `/admin/room/${kept}`, later)).status).toBe(200);
      const other = await requestToken(issuer, ALICE, { aud: OTHER_AUDIENCE });
      expect(await statusWith(other)).toBe(401);
      await expect(connect(sockets(), { header: other })).rejects.toThrow(Refused);

      progress('cdk deploy --all, of a change');
      await deploy(`${AUDIENCE},${OTHER_AUDIENCE}`);
      expect(outputs).toEqual(before);
      expect(await statusWith(other)).toBe(200);
      clients.push(await connect(sockets(), { header: other }));
      // Tokens of the first audience are still accepted, and the data still exists.
      expect(await call(ALICE, 'GET', `/participant/room/${kept}`)).toMatchObject({
        status: 200,
        data: { room_id: kept, ...later },
      });
    });

    const keep = 'keep' in given && given.keep;
    test.skipIf(keep)('leaves nothing behind when it is destroyed, not even uploaded files', async () => {
      const { target } = reached();
      const { s3 } = operator(target);
      const { BucketName, TableName } = outputs['rooms-dev-data'];
      const there = await inventory(target);
      expect(there.tables).toEqual([TableName]);
      expect(there.buckets).toContain(BucketName);
      // The schedules of the room's end and of its first warning. Rooms of "npm run verify" can still have schedules, too.
      expect(there.schedules.filter((name) => name.startsWith(kept))).toEqual([`${kept}-end`, `${kept}-next`]);
      for (const kind of ['alarms', 'apis', 'dashboards', 'functions', 'logs', 'queues', 'stacks'] as const)
        expect(there[kind].length, kind).toBeGreaterThan(bare[kind].length);
      expect((await s3.send(new ListObjectsV2Command({ Bucket: BucketName }))).KeyCount).toBeGreaterThan(0);

      progress('cdk destroy --all');
      await cdk(target, { issuer, audience: AUDIENCE }, 'destroy', '--all', '--force');
      const { roles, ...left } = await inventory(target);
      const { roles: rolesBefore, ...before } = bare;
      expect(left).toEqual(before);
      // The role of API Gateway's logging remains. It is an account setting that other APIs can depend on.
      const added = roles.filter((role) => !rolesBefore.includes(role));
      expect(added).toEqual([expect.stringMatching(/GatewayLogging/)]);
      expect((await fetch(`${served().http}/participant/room`)).status).toBe(404);
    });

    test.skipIf(keep)('as prod, responds under its own domains, and is protected against deletion', async () => {
      const { target } = reached();
      const certificate = `arn:aws:acm:${REGION}:${ACCOUNT}:certificate/0b9c1f5e-1d2c-4a53-9e66-d7f2f6c1a001`;
      const prod = {
        env: 'prod',
        account: ACCOUNT,
        region: REGION,
        issuer,
        audience: AUDIENCE,
        allowedOrigins: 'https://ops.example.com',
        httpDomain: 'rooms.example.com',
        httpDomainCertificate: certificate,
        webSocketDomain: 'live.rooms.example.com',
        webSocketDomainCertificate: certificate,
        alarmTarget: 'on-call@example.com',
      };
      const file = join(target.directory, 'prod.json');
      progress('cdk deploy --all, as prod');
      await cdk(target, prod, 'deploy', '--all', '--require-approval', 'never', '--outputs-file', file);
      expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({
        'rooms-prod-http': { HttpApiUrl: 'https://rooms.example.com', DomainAlias: expect.stringMatching(/amazonaws/) },
        'rooms-prod-realtime': { WebSocketUrl: 'wss://live.rooms.example.com' },
      });
      // Emulator: WebSocket APIs have no custom domains, so only the HTTP API is called.
      const headers = { host: 'rooms.example.com', authorization: `Bearer ${await tokenOf(ALICE)}` };
      const answered = await new Promise<string>((resolve, reject) => {
        // The emulator's certificate is for localhost.
        const options = { headers, servername: 'localhost' };
        const asked = request(new URL('/participant/room', target.endpoint), options, (response) => {
          text(response).then(resolve, reject);
        });
        asked.on('error', reject).end();
      });
      expect(JSON.parse(answered)).toMatchObject({ data: [], page: { size: 0 } });

      const there = await inventory(target);
      expect(there.domains).toEqual(['live.rooms.example.com', 'rooms.example.com']);
      expect(there.topics).toHaveLength(1);
      progress('cdk destroy --all, of prod: refused');
      await expect(cdk(target, prod, 'destroy', '--all', '--force')).rejects.toThrow(/TerminationProtection/i);
      expect(await inventory(target)).toEqual(there);
    });
  },
);
