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

/** Clients of the services behind the API, as an operator of the account has them. */
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

/** The names of all that there is in the account and that a deployment could leave there. */
export async function inventory(target: Target): Promise<Inventory> {
  return v.parse(inventorySchema, await asked(target, 'inventory.py'));
}

/** All that was logged in the groups whose name has a part in it. */
export const logged = async (target: Target, part: string): Promise<string[]> =>
  v.parse(names, await asked(target, 'logs.py', part));

/** What a script of this folder says of the account. */
async function asked(target: Target, script: string, ...args: string[]): Promise<unknown> {
  const file = fileURLToPath(new URL(script, import.meta.url));
  const { stdout } = await run(target.python, [file, target.endpoint, REGION, ...args], { env: environment(target) });
  return JSON.parse(stdout);
}

/**
 * A URL that a stack gave out, as it can be reached here. The names of APIs are those of AWS, which no DNS knows for an emulator:
 * it serves them below a path of its own as well.
 */
export function reachable(url: string, { endpoint }: Target): string {
  const { protocol, hostname, pathname } = new URL(url);
  const [api = ''] = hostname.split('.');
  const here = new URL(`/_aws/execute-api/${api}${pathname.replace(/\/$/, '')}`, endpoint).href;
  return protocol === 'wss:' ? here.replace(/^https/, 'wss') : here;
}
