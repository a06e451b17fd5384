import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { S3Client } from '@aws-sdk/client-s3';
import { SQSClient } from '@aws-sdk/client-sqs';
import * as v from 'valibot';
import { environment, type Target } from './cdk.ts';
import { credentialsOf, REGION } from './emulator.ts';

const run = promisify(execFile);

/** Returns AWS clients with the rights of an operator of the account. */
export function operator({ endpoint, account }: Target) {
  const config = { endpoint, region: REGION, credentials: credentialsOf(account) };
  return {
    s3: new S3Client({ ...config, forcePathStyle: true }),
    sqs: new SQSClient(config),
    events: new EventBridgeClient(config),
  };
}

const names = v.array(v.string());
const inventorySchema = v.object({
  alarms: names,
  apis: names,
  buckets: names,
  buses: names,
  dashboards: names,
  domains: names,
  functions: names,
  logs: names,
  mappings: names,
  queues: names,
  roles: names,
  scheduleGroups: names,
  schedules: names,
  stacks: names,
  tables: names,
  topics: names,
});
export type Inventory = v.InferOutput<typeof inventorySchema>;

/** Returns the names of all resources in the account that a deployment could leave behind. */
export async function inventory(target: Target): Promise<Inventory> {
  return v.parse(inventorySchema, await asked(target, 'inventory.py'));
}

/** Returns the log events of all groups whose name contains `part`. */
export const logged = async (target: Target, part: string): Promise<string[]> =>
  v.parse(names, await asked(target, 'logs.py', part));

/** Runs a Python script of this folder against the account, and returns its JSON output. */
async function asked(target: Target, script: string, ...args: string[]): Promise<unknown> {
  const file = fileURLToPath(new URL(script, import.meta.url));
  const { stdout } = await run(target.python, [file, target.endpoint, REGION, ...args], { env: environment(target) });
  return JSON.parse(stdout);
}

/**
 * Converts the URL of a deployed API to a URL of the emulator. The host names are those of AWS, which DNS does not resolve.
 * The emulator also serves each API under a path.
 */
export function reachable(url: string, { endpoint }: Target): string {
  const { protocol, hostname, pathname } = new URL(url);
  const [api = ''] = hostname.split('.');
  const here = new URL(`/_aws/execute-api/${api}${pathname.replace(/\/$/, '')}`, endpoint).href;
  return protocol === 'wss:' ? here.replace(/^https/, 'wss') : here;
}
