import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type {
  BatchGetCommandInput,
  BatchGetCommandOutput,
  BatchWriteCommandInput,
  BatchWriteCommandOutput,
  DeleteCommandInput,
  DeleteCommandOutput,
  GetCommandInput,
  GetCommandOutput,
  PutCommandInput,
  PutCommandOutput,
  QueryCommandInput,
  QueryCommandOutput,
  ScanCommandInput,
  ScanCommandOutput,
  TransactWriteCommandInput,
  TransactWriteCommandOutput,
  UpdateCommandInput,
  UpdateCommandOutput,
} from '@aws-sdk/lib-dynamodb';
import { marshall, unmarshall } from '@aws-sdk/util-dynamodb';
import { HttpRequest } from '@smithy/core/transport';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { domainOf, region, signerFor } from './signing.ts';

/*
 * A client of DynamoDB, from AWS's own parts: its signer, its HTTP handler and its translation of items. The SDK's client around
 * them is three quarters of a bundle and half of a function's start (docs/performance); what we use of it is here: JSON in
 * an envelope, errors by name, and three tries. Inputs and answers are those of the SDK's DocumentClient.
 */

interface Operations {
  readonly BatchGetItem: [BatchGetCommandInput, BatchGetCommandOutput];
  readonly BatchWriteItem: [BatchWriteCommandInput, BatchWriteCommandOutput];
  readonly DeleteItem: [DeleteCommandInput, DeleteCommandOutput];
  readonly GetItem: [GetCommandInput, GetCommandOutput];
  readonly PutItem: [PutCommandInput, PutCommandOutput];
  readonly Query: [QueryCommandInput, QueryCommandOutput];
  readonly Scan: [ScanCommandInput, ScanCommandOutput];
  readonly TransactWriteItems: [TransactWriteCommandInput, TransactWriteCommandOutput];
  readonly UpdateItem: [UpdateCommandInput, UpdateCommandOutput];
}
export type Action = keyof Operations;
export type Input<A extends Action> = Operations[A][0];
export type Output<A extends Action> = Omit<Operations[A][1], '$metadata'>;

/** Why a transaction did not happen: one for each of its actions, in order. */
export interface CancellationReason {
  readonly Code?: string;
  /** As it stood, where a condition failed and it was asked for. */
  readonly Item?: Record<string, unknown>;
}

/** What DynamoDB answered in place of a result. `name` is its code: `ConditionalCheckFailedException`. */
export class DynamoDbError extends Error {
  readonly status: number;
  /** As it stood, where a condition failed and it was asked for. */
  readonly Item: Record<string, unknown> | undefined;
  readonly CancellationReasons: readonly CancellationReason[];

  constructor(name: string, message: string, status: number, body: Record<string, unknown> = {}) {
    super(message);
    this.name = name;
    this.status = status;
    this.Item = isObject(body.Item) ? body.Item : undefined;
    this.CancellationReasons = Array.isArray(body.CancellationReasons) ? body.CancellationReasons : [];
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Where items and keys stand in inputs and answers: the map itself, a list of maps, or lists of maps by table. */
const MAPS: ReadonlySet<string> = new Set([
  'Attributes',
  'ExclusiveStartKey',
  'ExpressionAttributeValues',
  'Item',
  'Key',
  'LastEvaluatedKey',
]);
const LISTS: ReadonlySet<string> = new Set(['Items', 'Keys']);
const BY_TABLE: ReadonlySet<string> = new Set(['Responses']);

type Translate = (map: Record<string, unknown>) => unknown;

/** The same object with its items and keys translated, wherever they stand. */
function translated(value: unknown, translate: Translate): unknown {
  if (Array.isArray(value)) return value.map((each) => translated(each, translate));
  if (!isObject(value)) return value;
  const all = (list: unknown): unknown => (Array.isArray(list) ? list.map((item) => translate(item)) : list);
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => {
      if (MAPS.has(name) && isObject(each)) return [name, translate(each)];
      if (LISTS.has(name)) return [name, all(each)];
      if (BY_TABLE.has(name) && isObject(each))
        return [name, Object.fromEntries(Object.entries(each).map(([table, list]) => [table, all(list)]))];
      return [name, translated(each, translate)];
    }),
  );
}

const toWire: Translate = (map) => marshall(map, { removeUndefinedValues: true });
// An answer's maps are what `marshall` made of ours.
const fromWire: Translate = (map) => unmarshall(map as Parameters<typeof unmarshall>[0]);

/** The SDK's own lists of what is worth another try (@smithy/core, service-error-classification). */
const THROTTLED: ReadonlySet<string> = new Set([
  'LimitExceededException',
  'ProvisionedThroughputExceededException',
  'RequestLimitExceeded',
  'ThrottlingException',
  'TransactionInProgressException',
]);
const PASSING_STATUS: ReadonlySet<number> = new Set([500, 502, 503, 504]);
const PASSING_CODES: ReadonlySet<string> = new Set([
  'ECONNRESET',
  'ECONNREFUSED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

const ATTEMPTS = 3;
/** Before the second and third try, in milliseconds, doubled each time, with full jitter: as the SDK's standard mode waits. */
const PASSING_MS = 100;
const THROTTLED_MS = 500;

/** How long to wait before another try; undefined where there is no point in one. */
function delayAfter(error: unknown, attempt: number): number | undefined {
  if (attempt >= ATTEMPTS || !(error instanceof Error)) return undefined;
  const spread = (base: number): number => Math.random() * base * 2 ** (attempt - 1);
  if (THROTTLED.has(error.name)) return spread(THROTTLED_MS);
  const passing =
    error.name === 'TimeoutError' ||
    (error instanceof DynamoDbError && PASSING_STATUS.has(error.status)) ||
    ('code' in error && PASSING_CODES.has(String(error.code)));
  return passing ? spread(PASSING_MS) : undefined;
}

async function textOf(body: Readable): Promise<string> {
  const chunks: Uint8Array[] = [];
  return new Promise((resolve, reject) => {
    body
      .on('data', (chunk: Uint8Array) => chunks.push(chunk))
      .once('error', reject)
      .once('end', () => resolve(Buffer.concat(chunks).toString()));
  });
}

function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

/** The error that an answer says: its type is `com.amazonaws.dynamodb.v20120810#<name>`. */
function errorIn(status: number, text: string): DynamoDbError {
  const body = translated(parsed(text), fromWire) as Record<string, unknown>;
  const name = String(body.__type ?? 'UnknownError').replace(/^.*#/, '');
  return new DynamoDbError(name, String(body.message ?? body.Message ?? `DynamoDB answered ${status}.`), status, body);
}

/** Stands between a caller and what is sent: sees, changes, or answers it. */
export type Layer = (action: Action, input: object, next: (input: object) => Promise<object>) => Promise<object>;

export interface DynamoDb {
  /**
   * Asks DynamoDB. Throws DynamoDbError for what it refuses, and what Node or the handler throw where it cannot be reached
   * (`TimeoutError`); passing failures have been tried three times by then.
   */
  send<A extends Action>(action: A, input: Input<A>): Promise<Output<A>>;
  /** For tests and benchmarks, which watch what is asked. The first one added is the outermost. */
  use(layer: Layer): void;
  readonly config: { readonly requestHandler: NodeHttpHandler };
}

/** A client, whose connections are kept. Times in milliseconds. */
export function createDynamoDb(limits: { connectionTimeout: number; requestTimeout: number }): DynamoDb {
  const requestHandler = new NodeHttpHandler({ ...limits, throwOnRequestTimeout: true });
  const signer = signerFor('dynamodb');
  const layers: Layer[] = [];

  async function attempt(action: Action, body: string): Promise<object> {
    const { AWS_ENDPOINT_URL_DYNAMODB, AWS_ENDPOINT_URL } = process.env;
    const name = region();
    const { protocol, hostname, port, host } = new URL(
      AWS_ENDPOINT_URL_DYNAMODB ?? AWS_ENDPOINT_URL ?? `https://dynamodb.${name}.${domainOf(name)}`,
    );
    const request = await signer.sign({
      method: 'POST',
      protocol,
      hostname,
      ...(port && { port: Number(port) }),
      path: '/',
      headers: {
        host,
        'content-type': 'application/x-amz-json-1.0',
        'content-length': String(Buffer.byteLength(body)),
        'x-amz-target': `DynamoDB_20120810.${action}`,
      },
      body,
    });
    const { response } = await requestHandler.handle(new HttpRequest(request));
    const text = await textOf(response.body);
    if (response.statusCode !== 200) throw errorIn(response.statusCode, text);
    return JSON.parse(text);
  }

  async function ask(action: Action, input: object): Promise<object> {
    // The same token for all tries: what has happened already does not happen again.
    const token = action === 'TransactWriteItems' && { ClientRequestToken: randomUUID() };
    const body = JSON.stringify(translated({ ...token, ...input }, toWire));
    for (let tries = 1; ; tries++) {
      try {
        return translated(await attempt(action, body), fromWire) as object;
      } catch (error) {
        const delay = delayAfter(error, tries);
        if (delay === undefined) throw error;
        await sleep(delay);
      }
    }
  }

  return {
    send: async <A extends Action>(action: A, input: Input<A>) => {
      const through = layers.reduceRight<(input: object) => Promise<object>>(
        (next, layer) => (given) => layer(action, given, next),
        (given) => ask(action, given),
      );
      // DynamoDB's answer to an action is of that action's type.
      return (await through(input)) as Output<A>;
    },
    use: (layer) => void layers.push(layer),
    config: { requestHandler },
  };
}
