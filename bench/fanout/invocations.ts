import { type ChildProcess, fork } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import * as v from 'valibot';
import { bundling } from '../../lib/bundle.ts';
import { answerError } from '../../local/aws/aws-request.ts';
import { createLambdaApi } from '../../local/lambda/lambda-api.ts';
import { listen } from '../../local/listen.ts';
import type { Job } from './invocation.ts';
import { message } from './processes.ts';

/* Invocations in separate processes: one of the function that delivers, and those of the fan-out function. */

const root = fileURLToPath(new URL('../..', import.meta.url));
const ARN = 'arn:aws:lambda:us-east-1:000000000000:function:fan-out';

const ended = v.object({ result: v.unknown(), begin: v.number(), cpu: v.number(), memory: v.number() });
/** The measurements of an invocation. `begin` is its start in epoch milliseconds. See invocation.ts. */
export type Ended = v.InferOutput<typeof ended>;

export interface Invocations {
  /** The environment variables with which an invocation can invoke others. */
  readonly environment: Readonly<Record<string, string>>;
  /** Runs a job in a new environment, or in an idle one. */
  run(job: Job): Promise<Ended>;
  /** The measurements of the fan-out invocations since the last call. */
  fanOuts(): Ended[];
  close(): Promise<void>;
}

/** Starts a local Lambda API in this process. Environments are started when they are first needed. */
export async function startInvocations(): Promise<Invocations> {
  const outdir = join(root, '.build/bench-fanout');
  const options = { ...bundling(root), entryPoints: { index: 'bench/fanout/invocation.ts' }, outdir };
  buildSync(options);
  mkdirSync(outdir, { recursive: true });
  writeFileSync(join(outdir, 'package.json'), '{ "type": "commonjs" }');

  const all: ChildProcess[] = [];
  const idle: ChildProcess[] = [];
  const fanOuts: Ended[] = [];
  async function run(job: Job): Promise<Ended> {
    const child = idle.pop() ?? fork(join(outdir, 'index.js'), { execArgv: ['--max-old-space-size=1024'] });
    if (!all.includes(child)) all.push(child);
    const answer = message(child, ended);
    child.send(job);
    const took = await answer;
    idle.push(child);
    return took;
  }
  const fanOut = {
    config: {
      name: 'fan-out',
      arn: ARN,
      directory: outdir,
      handler: 'index.handler',
      variables: {},
      timeoutSeconds: 30,
      memoryMegabytes: 1_024,
      logFormat: 'JSON',
      logGroup: 'fan-out',
    },
    async invoke(event: string) {
      const took = await run({ kind: 'batch', batch: JSON.parse(event) });
      fanOuts.push(took);
      return { ok: true, payload: JSON.stringify(took.result) };
    },
    close: async () => {},
  } as const;
  const api = createLambdaApi(new Map([[ARN, fanOut]]));
  const server = await listen(
    (request, response) => void api.handle(request, response).catch((error: unknown) => answerError(response, error)),
    0,
  );
  return {
    environment: { AWS_ENDPOINT_URL_LAMBDA: server.url, FAN_OUT_FUNCTION_ARN: ARN },
    run,
    fanOuts: () => fanOuts.splice(0),
    async close() {
      for (const child of all) child.disconnect();
      await server.close();
    },
  };
}
