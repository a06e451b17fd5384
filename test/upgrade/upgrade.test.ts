import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import * as v from 'valibot';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { check, type Property } from '../chaos/checker.ts';
import { type FinalRoom, type FinalState, finalState } from '../chaos/history.ts';
import { inventory, reachable } from '../deploy/aws.ts';
import { cdk, environment } from '../deploy/cdk.ts';
import { progress } from '../deploy/progress.ts';
import { type Client, connect, hangUp } from '../e2e/socket-client.ts';
import { ALICE, BOB, callersOf, createRoom } from '../support/scenario.ts';
import { MAX_OUTAGE_MS } from './bounds.ts';
import { Crowd } from './crowd.ts';
import { checkOut, lastRelease, whyOutOfReach } from './release.ts';

/*
 * Deploys the last release to an emulated AWS, upgrades it to the current code while users write messages, and rolls it back. Follows the
 * steps in docs/operate/upgrade.md. The users are processes that run the SDK of the last release. One user with the current SDK joins
 * after the upgrade.
 */

/** Release 0.1.0 did not guarantee an order, because it delivered 10 batches of a shard in parallel. */
const PROMISES: readonly Property[] = [
  'stored',
  'genuine',
  'once',
  'complete',
  'settles',
  ...(lastRelease().version === '0.1.0' ? [] : ['order' as const]),
];

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);
const release = lastRelease();
const given = inject('deployment');
const outOfReach = 'outOfReach' in given ? given.outOfReach : whyOutOfReach(release);
if (outOfReach !== undefined) progress(`Skipped: ${outOfReach}`);

describe.skipIf(outOfReach !== undefined)(
  `an upgrade from ${release.version}, and back${outOfReach === undefined ? '' : ` (skipped: ${outOfReach})`}`,
  () => {
    const reached = (): Extract<typeof given, { target: unknown }> => {
      if ('failure' in given) throw new Error(given.failure);
      if (!('target' in given)) throw new Error(given.outOfReach);
      return given;
    };
    const CAROL = 'carol';
    const DAVE = 'dave';
    const outputsSchema = v.object({
      'rooms-dev-http': v.object({ HttpApiUrl: v.string() }),
      'rooms-dev-realtime': v.object({ WebSocketUrl: v.string() }),
    });
    let urls = { http: '', webSocket: '' };
    let oldCode = '';
    let crowd: Crowd;
    let room = '';
    /** A room that ends in an hour. Its schedule must exist after each step. */
    let booked = '';
    const clients: Client[] = [];
    const served = () => ({ http: urls.http, issuer: reached().issuer });
    const callers = callersOf(served);
    const { call, tokenOf } = callers;

    /** Runs a CDK command for `dev` with the code of a release. */
    const inCode = (root: string, ...args: string[]) =>
      cdk({ ...reached().target, root }, { issuer: reached().issuer }, ...args);
    const deploy = async (root: string, ...args: string[]): Promise<typeof urls> => {
      const { target } = reached();
      const file = join(target.directory, 'outputs.json');
      await inCode(root, 'deploy', ...args, '--require-approval', 'never', '--outputs-file', file);
      const outputs = v.safeParse(outputsSchema, JSON.parse(readFileSync(file, 'utf8')));
      if (!outputs.success) return urls;
      return {
        http: reachable(outputs.output['rooms-dev-http'].HttpApiUrl, target),
        webSocket: reachable(outputs.output['rooms-dev-realtime'].WebSocketUrl, target),
      };
    };
    /** Recreates the schedules as described in docs/operate/upgrade.md, with the command of the current code. */
    const reschedule = async (): Promise<string> => {
      const args = ['bin/reschedule.ts', '--env', 'dev', '--apply', '--missed', '15'];
      const { stdout } = await run('node', args, { cwd: ROOT, env: environment(reached().target) });
      return stdout;
    };
    const schedules = async (): Promise<string[]> => (await inventory(reached().target)).schedules;

    /** Creates a room that ends during a step. The returned function waits until a client receives the event. */
    async function endingRoom(seconds: number): Promise<() => Promise<void>> {
      const room_id = await createRoom(callers, [BOB]);
      const client = await connect(urls.webSocket, { header: await tokenOf(BOB) });
      clients.push(client);
      await client.data('join', { room_id });
      const ending = await call(ALICE, 'DELETE', `/admin/room/${room_id}`, { time_left_in_seconds: seconds });
      expect(ending.status).toBe(200);
      return async () => {
        expect(await client.waitFor(room_id, 'room_ended')).toMatchObject([{ data: { room_id, status: 'ended' } }]);
      };
    }

    /** Waits until each user has sent 10 more messages. */
    async function talk(): Promise<void> {
      const before = crowd.acknowledged();
      await expect
        .poll(() => Object.entries(crowd.acknowledged()).every(([user, count]) => count >= (before[user] ?? 0) + 10), {
          timeout: 60_000,
          interval: 200,
        })
        .toBe(true);
    }

    async function enter(code: string, user: string, leaves: boolean): Promise<void> {
      const token = await tokenOf(user);
      crowd.start(code, { user, room, url: urls.http, wsUrl: urls.webSocket, token, leaves });
    }

    test('serves the clients of the last release', async () => {
      const { target, issuer } = reached();
      setDefaultCACertificates([...getCACertificates('default'), readFileSync(target.certificate, 'utf8')]);
      oldCode = join(target.directory, 'last-release');
      progress(`Getting release ${release.version}`);
      await checkOut(release, oldCode);
      progress('cdk bootstrap');
      await cdk(target, { issuer }, 'bootstrap');
      progress(`cdk deploy --all, of ${release.version}`);
      urls = await deploy(oldCode, '--all');
      room = await createRoom(callers, [BOB, CAROL, DAVE]);
      booked = await createRoom(callers);
      const later = { end_time: new Date(Date.now() + 3_600_000).toISOString() };
      expect((await call(ALICE, 'POST', `/admin/room/${booked}`, later)).status).toBe(200);
      crowd = new Crowd(target);
      for (const [user, leaves] of [
        [ALICE, false],
        [BOB, false],
        [CAROL, true],
      ] as const)
        await enter(oldCode, user, leaves);
      await talk();
      await expect.poll(schedules, { timeout: 30_000, interval: 500 }).toEqual([`${booked}-end`]);
    });

    afterAll(async () => {
      crowd?.kill();
      await hangUp(clients);
    });

    test('is upgraded while users write, and announces a room that ends during the upgrade', async () => {
      const ended = await endingRoom(30);
      progress('The upgrade: cdk destroy of monitoring');
      await inCode(oldCode, 'destroy', 'rooms-dev-monitoring', '--force', '--exclusively');
      progress('cdk deploy --all');
      expect(await deploy(ROOT, '--all')).toEqual(urls);
      progress('npm run reschedule');
      await reschedule();
      expect(await schedules()).toContain(`${booked}-end`);
      await ended();
      await enter(ROOT, DAVE, false);
      await talk();
    });

    test('is rolled back while users write, and announces a room that ends during the rollback', async () => {
      const ended = await endingRoom(30);
      progress('The rollback: cdk deploy, readers of the table first');
      await deploy(oldCode, 'rooms-dev-realtime', 'rooms-dev-http', '--exclusively');
      progress('npm run reschedule');
      await reschedule();
      progress('cdk deploy --all');
      expect(await deploy(oldCode, '--all')).toEqual(urls);
      expect(await schedules()).toContain(`${booked}-end`);
      await ended();
      await talk();
      progress('Back; judging');
    });

    describe('throughout', () => {
      beforeAll(() => crowd.stop(), 200_000);

      test('no message is lost, duplicated or invented', async () => {
        const history = crowd.history(await finalStateOf());
        expect(history.operations.filter(({ kind }) => kind === 'send').length).toBeGreaterThan(100);
        expect(history.observations.filter(({ type }) => type === 'message').length).toBeGreaterThan(300);
        expect(check(history, PROMISES)).toEqual([]);
      });

      test('every call succeeds', () => {
        progress(`Slowest calls: ${crowd.slowestCalls().join('; ')}`);
        expect(crowd.failures()).toEqual([]);
      });

      test('no client is disconnected for longer than the stated bound', () => {
        const outages = crowd.longestOutages();
        progress(`Longest outages, in ms: ${JSON.stringify(outages)}`);
        expect(Object.keys(outages).sort()).toEqual([ALICE, BOB, CAROL, DAVE].sort());
        for (const [user, ms] of Object.entries(outages)) expect(ms, user).toBeLessThanOrEqual(MAX_OUTAGE_MS);
      });

      test('every file that was uploaded can be downloaded', async () => {
        const files = crowd.files().get(room) ?? [];
        expect(files.length).toBeGreaterThan(5);
        for (const { file_id, sha256 } of files) {
          const { data } = await call(BOB, 'GET', `/participant/room/${room}/download?file_id=${file_id}`);
          const { download_url } = v.parse(v.object({ download_url: v.string() }), data);
          const bytes = new Uint8Array(await (await fetch(download_url)).arrayBuffer());
          expect(createHash('sha256').update(bytes).digest('hex')).toBe(sha256);
        }
      });
    });

    /** Returns the final state of the room. */
    async function finalStateOf(): Promise<FinalState> {
      const chat = v.object({
        message_id: v.string(),
        client_message_id: v.string(),
        sender_id: v.string(),
        sent_at: v.string(),
      });
      const messages: FinalRoom['messages'] = [];
      let cursor: string | null = '';
      while (cursor !== null) {
        const query = new URLSearchParams({ order: 'asc', limit: '200', ...(cursor && { cursor }) });
        const response = await fetch(`${urls.http}/participant/room/${room}/chat?${query}`, {
          headers: { authorization: `Bearer ${await tokenOf(ALICE)}` },
        });
        const page = v.parse(
          v.object({ data: v.array(chat), page: v.object({ next_cursor: v.nullable(v.string()) }) }),
          await response.json(),
        );
        for (const { message_id, client_message_id: key, sender_id: sender, sent_at } of page.data)
          messages.push({ message_id, key, sender, sent: Date.parse(sent_at) });
        cursor = page.page.next_cursor;
      }
      // The checks of this test use only the messages.
      const others = {
        starts: 0,
        ends: null,
        read: 0,
        status: 'started',
        participants: [],
        schedules: {},
        sockets: [],
      };
      return v.parse(finalState, { at: 0, rooms: { [room]: { ...others, messages } } });
    }
  },
);
