import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import * as v from 'valibot';
import {
  createFunction,
  type FunctionConfig,
  type InvocationResult,
  type LocalFunction,
} from '../../local/lambda/lambda.ts';
import type { Envelope } from './environment.ts';
import type { Faults } from './faults.ts';

/* The functions of the local stack with faults: in their events, in their requests, and by killing them. */

/** Addresses of the services that functions use. */
export interface Endpoints {
  /** The stack's URL prefixes, each with the proxy in front of it. */
  readonly proxies: ReadonlyMap<string, string>;
}

export interface FaultyFunctions {
  /** Pass it to `startStack`. */
  readonly create: typeof createFunction;
  /** Returns the value that the stack has set for an environment variable. */
  readonly variable: (name: string) => string;
  /** The name that a client gave its WebSocket, by connection ID. */
  readonly socketOf: ReadonlyMap<string, string>;
  /** Invokes a function again with an earlier stream batch. */
  redrive(): Promise<void>;
  /** Stops all execution environments immediately. */
  restart(): Promise<void>;
  /** Starts another round, with its faults and clocks. */
  enter(faults: Faults, clocks: number, offByMs: number): void;
}

/** The header with a client's name for its WebSocket. */
export const SOCKET_HEADER = 'x-test-socket';

const streamEvent = v.object({ Records: v.array(v.looseObject({ eventSource: v.literal('aws:dynamodb') })) });
const connectEvent = v.object({
  headers: v.record(v.string(), v.string()),
  requestContext: v.object({ eventType: v.literal('CONNECT'), connectionId: v.string() }),
});
const disconnectEvent = v.object({ requestContext: v.object({ eventType: v.literal('DISCONNECT') }) });

const WRAPPER = fileURLToPath(new URL('environment.ts', import.meta.url));
/** The maximum number of the await at which a kill happens. If the invocation has fewer awaits, it is not killed. */
const LAST_AWAIT = 2_000;

/**
 * The maximum number of simultaneous execution environments of a function. Each is a thread that loads a bundle, so
 * more would overload a machine with two processors after a restart.
 */
const CONCURRENCY = 3;

/** How long API Gateway waits for a function before it responds itself, in milliseconds. */
const INTEGRATION_MS = 29_000;

const fromGateway = v.object({ requestContext: v.looseObject({}) });

/** @param directory a folder for the modules that wrap the bundles */
export function faultyFunctions(
  directory: string,
  redirect: (variables: FunctionConfig['variables']) => FunctionConfig['variables'],
  start: Faults,
): FaultyFunctions {
  let [faults, clocks, offByMs] = [start, 0, 0];
  const variables: Record<string, string> = {};
  const socketOf = new Map<string, string>();
  const batches: { readonly event: string; readonly invoke: (event: string) => Promise<InvocationResult> }[] = [];
  const restarts: (() => Promise<void>)[] = [];

  function wrapped(config: FunctionConfig): FunctionConfig {
    const folder = join(directory, config.name);
    mkdirSync(folder, { recursive: true });
    // `Handler` consists of a file without its extension, and the name of an export.
    const [name = '', exported = ''] = config.handler.split('.');
    const file = ['.js', '.mjs', '.cjs'].map((end) => join(config.directory, name + end)).find(existsSync);
    if (!file) throw new Error(`${config.directory} has no ${name}.`);
    const quoted = JSON.stringify;
    writeFileSync(
      join(folder, `${name}.mjs`),
      `import * as bundle from ${quoted(pathToFileURL(file).href)};\n` +
        `import { underFaults } from ${quoted(pathToFileURL(WRAPPER).href)};\n` +
        `const given = bundle[${quoted(exported)}] ?? bundle.default[${quoted(exported)}];\n` +
        `export { wrapped as ${exported} };\n` +
        'const wrapped = underFaults(given);\n',
    );
    return { ...config, directory: folder, variables: redirect(config.variables) };
  }

  const create: typeof createFunction = (config, log) => {
    Object.assign(variables, config.variables);
    const make = (): LocalFunction => createFunction(wrapped(config), log, CONCURRENCY);
    let current = make();
    restarts.push(async () => {
      const old = current;
      current = make();
      await old.close();
    });

    async function invoke(event: string): Promise<InvocationResult> {
      const { random } = faults;
      const killAt = faults.hits('kill', config.name) ? Math.ceil(LAST_AWAIT ** random.next()) : 0;
      const envelope: Envelope = { told: { clocks, offByMs, killAt }, event: JSON.parse(event) };
      return current.invoke(JSON.stringify(envelope));
    }

    const failed = (why: string): InvocationResult => ({
      ok: false,
      payload: JSON.stringify({ errorType: 'Injected', errorMessage: why }),
    });

    async function invokeWithBatch(event: string): Promise<InvocationResult> {
      batches.push({ event, invoke });
      if (faults.hits('stream-late', config.name)) await sleep(faults.random.between(200, 3_000));
      if (faults.hits('stream-fail', config.name)) return failed('The batch never arrived.');
      const result = await invoke(event);
      return faults.hits('stream-twice', config.name) ? failed('The answer was lost.') : result;
    }

    return {
      config,
      async invoke(event) {
        const parsed: unknown = JSON.parse(event);
        if (v.is(streamEvent, parsed)) return invokeWithBatch(event);
        if (v.is(connectEvent, parsed)) {
          const name = Object.entries(parsed.headers).find(([header]) => header.toLowerCase() === SOCKET_HEADER)?.[1];
          if (name) socketOf.set(parsed.requestContext.connectionId, name);
        }
        if (v.is(disconnectEvent, parsed) && faults.hits('lost-disconnect', config.name))
          return { ok: true, payload: '{"statusCode":200}' };
        if (!v.is(fromGateway, parsed)) return invoke(event);
        const waiting = new AbortController();
        const timedOut = sleep(INTEGRATION_MS, failed('Endpoint request timed out.'), { signal: waiting.signal });
        timedOut.catch(() => {});
        return Promise.race([invoke(event), timedOut]).finally(() => waiting.abort());
      },
      close: () => current.close(),
    };
  };

  return {
    create,
    variable(name) {
      const value = variables[name];
      if (value === undefined) throw new Error(`No function has the variable ${name}.`);
      return value;
    },
    socketOf,
    async redrive() {
      if (batches.length === 0) return;
      const { event, invoke } = faults.random.pick(batches);
      await invoke(event);
    },
    async restart() {
      await Promise.all(restarts.map((restart) => restart()));
    },
    enter(next, named, ms) {
      [faults, clocks, offByMs] = [next, named, ms];
      batches.length = 0;
    },
  };
}
