import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { OAuth2Issuer, OAuth2Service } from 'oauth2-mock-server';
import * as v from 'valibot';
import { listen } from '../../local/listen.ts';
import { say } from '../common/command.ts';
import { type CpuShare, cpuShare, shareOf } from '../common/cpu-share.ts';
import { tlsProxies } from '../common/tls-proxy.ts';
import { quietly, withTable } from '../common/world.ts';
import { DEFAULT, GET_ROOM, newEvents, prepare } from './targets.ts';

/*
 * Cold starts as on Lambda: INIT at full speed, the first request with the function's CPU share, and TLS to every
 * service.
 */

/** The one-way delay to a service in the same region, in milliseconds. */
const DELAY_MS = 1;
/** API Gateway's response time for a post, in milliseconds. */
const POST_MS = 15;
/** Time-out of a process that hangs, in milliseconds. */
const MAX_RUN_MS = 60_000;
const AUDIENCE = 'rooms';
const child = fileURLToPath(new URL('process.mjs', import.meta.url));

const report = v.object({
  load: v.number(),
  invoke: v.number(),
  cpu: v.number(),
  loadCpu: v.number(),
  warm: v.array(v.number()),
  memory: v.number(),
  results: v.array(v.unknown()),
});

/** Times in milliseconds, memory in megabytes. */
export interface Report {
  readonly load: number;
  /** Duration of the first request. */
  readonly invoke: number;
  /** CPU time of loading and of the first request. */
  readonly cpu: number;
  /** CPU time of the first request. */
  readonly invokeCpu: number;
  readonly warm: readonly number[];
  /** The maximum memory of the process. */
  readonly memory: number;
}

/** A function to start. */
export interface Variant {
  readonly name: string;
  readonly file: string;
  /** The name of the target whose event it receives. Default: getRoom. */
  readonly event?: string;
  /** Whether the function is primed in INIT, as on Lambda. Default: true. */
  readonly primed?: boolean;
}

export interface StartOptions {
  /** In megabytes. Default: 512. */
  readonly memory?: number;
  /** The number of invocations after the first request. Default: 0. */
  readonly more?: number;
}

export interface Lambda {
  /** Starts a variant once, with its own event. @throws if the function does not succeed */
  start(variant: Variant, options?: StartOptions): Promise<Report>;
  /** Creates a new room for the events of the next starts, so that limits per user are not reached. */
  newRoom(): Promise<void>;
}

const httpAnswer = v.looseObject({ statusCode: v.number(), body: v.optional(v.string(), '') });
const batchAnswer = v.object({ batchItemFailures: v.tuple([]) });
const counts = v.looseObject({ sent: v.number(), failed: v.literal(0) });
const policy = v.looseObject({ principalId: v.string() });
/** The JSON of an invocation without a result. */
const nothing = v.null();

/** Returns whether the result of a function is a success. */
function succeeded(result: unknown, name: string): boolean {
  if (v.is(httpAnswer, result))
    return result.statusCode < 300 && (name === DEFAULT || !result.body?.includes('"ok":false'));
  return [batchAnswer, counts, policy, nothing].some((schema) => v.is(schema, result));
}

/** Estimates the first request with a smaller CPU share: its CPU time becomes longer by the factor 1 / share. */
const slowed = (invoke: number, invokeCpu: number, share: number): number => invoke + invokeCpu * (1 / share - 1);

/**
 * Runs `work` with DynamoDB Local, a token issuer and a gateway, all behind TLS.
 *
 * @param connections number of connections in the room to which functions post
 */
export async function withLambda<T>(connections: number, work: (lambda: Lambda) => Promise<T>): Promise<T> {
  const groups = new Map<number, CpuShare | undefined>();
  const groupOf = (memory: number): CpuShare | undefined => {
    if (!groups.has(memory)) groups.set(memory, cpuShare(shareOf(memory)));
    return groups.get(memory);
  };
  if (!groupOf(512))
    say('This machine allows no control groups: the share of a processor is calculated from CPU times.');
  const proxies = await tlsProxies(DELAY_MS);
  // Also replaces EventBridge: an empty response means that no event was rejected.
  const gateway = await listen((request, response) => {
    request.resume().once('end', () => setTimeout(() => response.end(), POST_MS));
  }, 0);
  const issuer = new OAuth2Issuer();
  await issuer.keys.generate('RS256');
  const issuerServer = await listen(new OAuth2Service(issuer).requestHandler, 0);
  try {
    say('Starting DynamoDB Local …');
    return await withTable(async (plain) => {
      issuer.url = await proxies.inFrontOf(issuerServer.url);
      const environment = {
        ...plain,
        AWS_ENDPOINT_URL_DYNAMODB: await proxies.inFrontOf(plain.AWS_ENDPOINT_URL_DYNAMODB ?? ''),
        CALLBACK_URL: await proxies.inFrontOf(gateway.url),
        AWS_ENDPOINT_URL_EVENTBRIDGE: await proxies.inFrontOf(gateway.url),
        EVENT_BUS_NAME: 'bench',
        ISSUER: issuer.url,
        AUDIENCE,
        NODE_EXTRA_CA_CERTS: proxies.certificate,
        AWS_LAMBDA_FUNCTION_NAME: 'bench',
      };
      const token = await issuer.buildToken({
        scopesOrTransform: (_, payload) => Object.assign(payload, { sub: 'bench', aud: AUDIENCE }),
      });
      let events = await quietly(() => newEvents(token, connections));
      return work({
        async start(variant, { memory = 512, more = 0 } = {}) {
          const event = events.get(variant.event ?? variant.name) ?? events.get(GET_ROOM) ?? {};
          await prepare(variant.event ?? variant.name, event);
          const group = groupOf(memory);
          const times = await startOnce(variant, event, group?.procs ?? '', more, environment);
          return group ? times : { ...times, invoke: slowed(times.invoke, times.invokeCpu, shareOf(memory)) };
        },
        async newRoom() {
          events = await quietly(() => newEvents(token, connections));
        },
      });
    });
  } finally {
    await Promise.all([proxies.close(), gateway.close(), issuerServer.close()]);
    for (const group of groups.values()) await group?.remove();
  }
}

async function startOnce(
  { name, file, event: eventName = name, primed = true }: Variant,
  event: object,
  procs: string,
  more: number,
  environment: Readonly<Record<string, string>>,
): Promise<Report> {
  const started = spawn(process.execPath, [child, file, JSON.stringify(event), procs, String(more)], {
    cwd: tmpdir(),
    env: { ...environment, ...(primed && { AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand' }) },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    timeout: MAX_RUN_MS,
  });
  const [, stdout, stderr, result] = started.stdio;
  if (!stdout || !stderr || !result || !('readable' in result)) throw new Error('The process has no pipes.');
  const [lines, complaints, text] = await Promise.all([
    buffer(stdout),
    buffer(stderr),
    buffer(result),
    once(started, 'close'),
  ]);
  if (text.length === 0) throw new Error(`${name} did not start: ${complaints}${lines}`);
  const { results, loadCpu, ...times } = v.parse(report, JSON.parse(text.toString()));
  const wrong = results.find((each) => !succeeded(each, eventName));
  if (wrong !== undefined) throw new Error(`${name} answered ${JSON.stringify(wrong)}. ${complaints}${lines}`);
  return { ...times, invokeCpu: times.cpu - loadCpu };
}
