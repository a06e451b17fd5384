import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import autocannon from 'autocannon';
import * as v from 'valibot';
import { runningStacks } from '../local/cli/endpoints.ts';
import { requestToken } from '../local/oidc/oidc-issuer.ts';
import { parseCommandLine } from '../tools/cli/command-line.ts';
import { main, number, say } from './common/command.ts';
import { flameGraph } from './common/flame.ts';
import { rounded, sum } from './common/numbers.ts';
import { type CpuProfile, cpuProfile, type Owner, ownerOf, selfTimes } from './common/profile.ts';
import { textTable } from './common/table.ts';

const SCRIPT = 'npm run bench:throughput --';
const HELP = `Usage: ${SCRIPT} [options]

Measures the requests per second of the local stack under a mixed load of autocannon, and the CPU time of the database, the
functions and the gateway, with a profile of the gateway. Everything runs on this machine, so the figures do not apply to
AWS. They show the effect of changes to the code.

  --seconds <n>      duration of the load, after each function was warmed up (default: 10)
  --connections <n>  parallel requests (default: 20)
  --quick            5 seconds
  --flame <file>     write a flame graph of the gateway's thread as SVG (for functions, see bench:warm)
  --json             print JSON instead of the tables
  --help             print this text
`;

interface Share {
  readonly part: string;
  /** Share of the total CPU time. */
  readonly share: number;
}

export interface Throughput {
  readonly requestsASecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** The number of unsuccessful responses. */
  readonly failed: number;
  readonly time: readonly Share[];
}

const START_MS = 180_000;

/** Starts the local stack in a separate process with profiling. */
async function startStack(state: string, profiles: string) {
  const file = fileURLToPath(new URL('../local/cli/start.ts', import.meta.url));
  const child = spawn(
    process.execPath,
    ['--cpu-prof', '--cpu-prof-dir', profiles, file, '--port', '0', '--state-dir', state],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const deadline = Date.now() + START_MS;
  for (;;) {
    const [endpoints] = await runningStacks(state);
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

/** The number of users that share the load, so that none reaches a limit per user. */
const USERS = 20;

/** The requests of a new user in a room, and how often each is sent per round. */
async function requestsOf(http: string, issuer: string): Promise<(readonly [times: number, autocannon.Request])[]> {
  const token = await requestToken(issuer, `bench-${randomUUID()}`);
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const answer = await fetch(`${http}/room`, { method: 'POST', headers, body: JSON.stringify({ name: 'Stand-up' }) });
  const { room_id } = v.parse(created, await answer.json()).data;
  const room = `/participant/room/${room_id}`;
  const get = (path: string): autocannon.Request => ({ method: 'GET', path, headers });
  const body = (method: 'POST' | 'PATCH', path: string, value: object): autocannon.Request => ({
    method,
    path,
    headers,
    body: JSON.stringify(value),
  });
  return [
    [6, get(room)],
    [4, get(`${room}/chat`)],
    [3, get('/participant/room')],
    [3, get(`${room}/participant`)],
    [1, body('PATCH', `${room}/userprofile`, { username: 'Bob' })],
    [1, body('POST', `/admin/room/${room_id}`, { name: 'Stand-up, team Blue' })],
    [1, body('POST', '/room', { name: 'Another' })],
    [1, get(`${room}/upload?size=1&content_type=text/plain`)],
  ];
}

const PARTS: Readonly<Record<Owner, string>> = {
  ours: 'gateway: its own code',
  packages: 'gateway: packages',
  Node: 'gateway: HTTP, streams, crypto, messages to functions',
  native: 'gateway: native code',
  'garbage collection': 'gateway: garbage collection',
};

/** Reads the CPU profiles of the gateway's thread. */
const profilesIn = async (directory: string): Promise<CpuProfile[]> =>
  Promise.all(
    (await readdir(directory)).map(async (file) =>
      v.parse(cpuProfile, JSON.parse(await readFile(join(directory, basename(file)), 'utf8'))),
    ),
  );

/** Active seconds of the gateway's thread, by part. */
function gatewayTime(profiles: readonly CpuProfile[]): Map<string, number> {
  const parts = new Map<string, number>();
  for (const profile of profiles) {
    const owners = new Map(profile.nodes.map(({ id, callFrame }) => [id, ownerOf(callFrame)]));
    for (const [id, time] of selfTimes(profile)) {
      const owner = owners.get(id);
      if (owner) parts.set(PARTS[owner], (parts.get(PARTS[owner]) ?? 0) + time / 1e6);
    }
  }
  return parts;
}

const TICKS_A_SECOND = 100;

/** CPU seconds of a process, or of its main thread only, from Linux's /proc. 0 on other systems. */
async function cpuOf(pid: number, thread?: 'main thread'): Promise<number> {
  const text = await readFile(thread ? `/proc/${pid}/task/${pid}/stat` : `/proc/${pid}/stat`, 'utf8').catch(() => '');
  const [user = '0', system = '0'] = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13);
  return (Number(user) + Number(system)) / TICKS_A_SECOND;
}

/** The child processes of a process. The child of the stack is DynamoDB Local. */
async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return text.split(' ').filter(Boolean).map(Number);
}

interface Cpu {
  readonly database: number;
  /** CPU time of the gateway's thread. */
  readonly gateway: number;
  /** CPU time of all threads of the stack's process, including functions and Node's helper threads. */
  readonly stack: number;
}

/** The CPU time of each part of the stack. The profile divides the time of the gateway's thread. */
function timeOf(profiles: readonly CpuProfile[], { database, gateway, stack }: Cpu): Share[] {
  const parts = gatewayTime(profiles);
  const profiled = sum([...parts.values()]);
  const all: [string, number][] = [
    ['DynamoDB Local', database],
    ['functions, and helper threads', stack - gateway],
    ...[...parts].map(([part, time]): [string, number] => [part, (gateway * time) / profiled]),
  ];
  const total = sum(all.map(([, time]) => time));
  return all
    .map(([part, time]) => ({ part, share: rounded(time / total, 3) }))
    .filter(({ share }) => share >= 0.005)
    .sort((a, b) => b.share - a.share);
}

async function measure(seconds: number, connections: number, flame: string | undefined): Promise<Throughput> {
  const directory = await mkdtemp(join(tmpdir(), 'rooms-bench-'));
  const profiles = join(directory, 'profiles');
  say('Starting the local stack …');
  const { child, endpoints } = await startStack(join(directory, 'state'), profiles);
  const ended = once(child, 'exit');
  try {
    // Starts all execution environments that the load needs, so that their start is not measured.
    for (const [, request] of await requestsOf(endpoints.http, endpoints.issuer)) {
      say(`Warming up ${request.method} ${request.path?.split('?')[0]} …`);
      await autocannon({ url: endpoints.http, connections, amount: connections * 10, requests: [request] });
    }
    say(`Loading for ${seconds} s …`);
    const users = await Promise.all(Array.from({ length: USERS }, () => requestsOf(endpoints.http, endpoints.issuer)));
    const mix = users.flat().flatMap(([times, request]) => Array.from({ length: times }, () => request));
    const result = await autocannon({ url: endpoints.http, connections, duration: seconds, requests: mix });
    const pid = child.pid ?? 0;
    const [database, gateway, stack] = [
      sum(await Promise.all((await childrenOf(pid)).map((child) => cpuOf(child)))),
      await cpuOf(pid, 'main thread'),
      await cpuOf(pid),
    ];
    child.kill('SIGINT');
    await ended;
    const found = await profilesIn(profiles);
    if (flame)
      await writeFile(flame, flameGraph('The local stack’s gateway under load: where its thread’s time goes', found));
    return {
      requestsASecond: rounded(result.requests.average),
      p50: result.latency.p50,
      p99: result.latency.p99,
      failed: result.non2xx + result.errors,
      time: timeOf(found, { database, gateway, stack }),
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
        flame: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    },
    `${SCRIPT} --help`,
  );
  if (values.help) return HELP;
  const seconds = values.quick ? 5 : number('seconds', values.seconds, 1, 3_600);
  const result = await measure(seconds, number('connections', values.connections, 1, 1_000), values.flame);
  return values.json ? JSON.stringify(result, null, 2) : tables(result);
});
