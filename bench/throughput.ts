import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import autocannon from 'autocannon';
import * as v from 'valibot';
import { parseCommandLine } from '../local/command-line.ts';
import { readEndpoints } from '../local/endpoints.ts';
import { requestToken } from '../local/iams.ts';
import { main, number, say } from './common/command.ts';
import { rounded, sum } from './common/numbers.ts';
import { textTable } from './common/table.ts';

const SCRIPT = 'npm run bench:throughput --';
const HELP = `Usage: ${SCRIPT} [options]

How many requests a second the local stack answers, under a mixed load of autocannon, and where its
time goes: the CPU of database, functions and gateway from start to end, the gateway's by a profile.
All of it runs on this machine: this says nothing about AWS, but what a change of ours costs or
brings shows here.

  --seconds <n>      of load, after some that warm up (default: 10)
  --connections <n>  requests at the same time (default: 20)
  --quick            5 seconds
  --profile <dir>    keep the gateway's CPU profile there: Chrome's developer tools show it as a flame chart
  --json             print JSON in place of the tables
  --help             print this text
`;

interface Share {
  readonly part: string;
  /** Of the CPU time of all. */
  readonly share: number;
}

export interface Throughput {
  readonly requestsASecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** Answers that were no success. */
  readonly failed: number;
  readonly time: readonly Share[];
}

const START_MS = 180_000;

/** Starts the local stack in a process of its own, profiled. */
async function startStack(state: string, profiles: string) {
  const file = fileURLToPath(new URL('../local/start.ts', import.meta.url));
  const child = spawn(
    process.execPath,
    ['--cpu-prof', '--cpu-prof-dir', profiles, file, '--port', '0', '--state-dir', state],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const deadline = Date.now() + START_MS;
  for (;;) {
    const endpoints = await readEndpoints(state);
    if (endpoints) return { child, endpoints };
    if (child.exitCode !== null) throw new Error('The local stack did not start.');
    if (Date.now() > deadline) {
      child.kill();
      throw new Error('The local stack took too long to start.');
    }
    await sleep(200);
  }
}

const created = v.object({ data: v.object({ room_id: v.string() }) });

/** What users do in a room, some of it more often. */
async function requestsOf(http: string, issuer: string): Promise<autocannon.Request[]> {
  const token = await requestToken(issuer, `bench-${randomUUID()}`);
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const answer = await fetch(`${http}/room`, { method: 'POST', headers, body: JSON.stringify({ name: 'Stand-up' }) });
  const { room_id } = v.parse(created, await answer.json()).data;
  const room = `/participant/room/${room_id}`;
  const get = (path: string, times: number): autocannon.Request[] =>
    Array.from({ length: times }, () => ({ method: 'GET', path, headers }));
  const body = (method: 'POST' | 'PATCH', path: string, value: object): autocannon.Request => ({
    method,
    path,
    headers,
    body: JSON.stringify(value),
  });
  return [
    ...get(room, 6),
    ...get(`${room}/chat`, 4),
    ...get('/participant/room', 3),
    ...get(`${room}/participant`, 3),
    body('PATCH', `${room}/userprofile`, { username: 'Bob' }),
    body('POST', `/admin/room/${room_id}`, { name: 'Stand-up, team Blue' }),
    body('POST', '/room', { name: 'Another' }),
    ...get(`${room}/upload?size=1&content_type=text/plain`, 1),
  ];
}

const profile = v.object({
  nodes: v.array(
    v.object({
      id: v.number(),
      callFrame: v.object({ functionName: v.string(), url: v.string() }),
    }),
  ),
  samples: v.array(v.number()),
  timeDeltas: v.array(v.number()),
});

/** Which part of the gateway's thread a frame belongs to; undefined where it was idle. */
function partOf({ functionName, url }: { functionName: string; url: string }): string | undefined {
  if (functionName === '(idle)') return undefined;
  if (functionName === '(garbage collector)') return 'gateway: garbage collection';
  if (url.includes('/local/')) return 'gateway: its own code';
  if (url.includes('/node_modules/')) return 'gateway: packages';
  if (url.startsWith('node:')) return 'gateway: HTTP, streams, crypto, messages to functions';
  return 'gateway: native code';
}

/** Seconds at work, by part of the gateway's thread. */
async function gatewayTime(profiles: string): Promise<Map<string, number>> {
  const parts = new Map<string, number>();
  for (const file of await readdir(profiles)) {
    const { nodes, samples, timeDeltas } = v.parse(
      profile,
      JSON.parse(await readFile(join(profiles, basename(file)), 'utf8')),
    );
    const partsById = new Map(nodes.map(({ id, callFrame }) => [id, partOf(callFrame)]));
    samples.forEach((id, n) => {
      const part = partsById.get(id);
      if (part) parts.set(part, (parts.get(part) ?? 0) + (timeDeltas[n] ?? 0) / 1e6);
    });
  }
  return parts;
}

const TICKS_A_SECOND = 100;

/** Seconds of CPU that a process has used, by Linux's /proc; 0 elsewhere. */
async function cpuOf(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const [user = '0', system = '0'] = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13);
  return (Number(user) + Number(system)) / TICKS_A_SECOND;
}

/** The processes that a process has started: of the stack, DynamoDB Local. */
async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return text.split(' ').filter(Boolean).map(Number);
}

/** The parts of the stack, by the CPU they used from start to end: functions are threads of the stack's own process. */
async function timeOf(profiles: string, stack: number, database: number): Promise<Share[]> {
  const gateway = await gatewayTime(profiles);
  const functions = Math.max(0, stack - sum([...gateway.values()]));
  const all: [string, number][] = [['DynamoDB Local', database], ['functions', functions], ...gateway];
  const total = sum(all.map(([, time]) => time));
  return all
    .map(([part, time]) => ({ part, share: rounded(time / total, 3) }))
    .filter(({ share }) => share >= 0.005)
    .sort((a, b) => b.share - a.share);
}

async function measure(seconds: number, connections: number, kept: string | undefined): Promise<Throughput> {
  const directory = await mkdtemp(join(tmpdir(), 'rooms-bench-'));
  const profiles = kept ?? join(directory, 'profiles');
  say('Starting the local stack …');
  const { child, endpoints } = await startStack(join(directory, 'state'), profiles);
  const ended = once(child, 'exit');
  try {
    const requests = await requestsOf(endpoints.http, endpoints.issuer);
    const load = (duration: number) => autocannon({ url: endpoints.http, connections, duration, requests });
    say('Warming up …');
    await load(Math.ceil(seconds / 3));
    say(`Loading for ${seconds} s …`);
    const result = await load(seconds);
    const pid = child.pid ?? 0;
    const [stack, ...others] = await Promise.all([pid, ...(await childrenOf(pid))].map(cpuOf));
    child.kill('SIGINT');
    await ended;
    return {
      requestsASecond: rounded(result.requests.average),
      p50: result.latency.p50,
      p99: result.latency.p99,
      failed: result.non2xx + result.errors,
      time: await timeOf(profiles, stack ?? 0, sum(others)),
    };
  } finally {
    if (child.exitCode === null) child.kill('SIGINT');
    await ended;
    await rm(directory, { recursive: true, force: true });
  }
}

const tables = ({ requestsASecond, p50, p99, failed, time }: Throughput): string =>
  [
    textTable(['requests a second', 'p50, ms', 'p99, ms', 'not 2xx'], [[requestsASecond, p50, p99, failed]]),
    textTable(
      ['where the CPU time goes', '%'],
      time.map(({ part, share }) => [part, (share * 100).toFixed(1)]),
    ),
  ].join('\n\n');

await main(async () => {
  const { values } = parseCommandLine(
    {
      options: {
        seconds: { type: 'string', default: '10' },
        connections: { type: 'string', default: '20' },
        quick: { type: 'boolean', default: false },
        profile: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    },
    `${SCRIPT} --help`,
  );
  if (values.help) return HELP;
  const seconds = values.quick ? 5 : number('seconds', values.seconds, 1, 3_600);
  const result = await measure(seconds, number('connections', values.connections, 1, 1_000), values.profile);
  return values.json ? JSON.stringify(result, null, 2) : tables(result);
});
