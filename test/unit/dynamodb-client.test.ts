import { createHash, createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { createDynamoDb, DynamoDbError } from '../../core/aws/dynamodb.ts';
import { domainOf } from '../../core/aws/signing.ts';

/* The client of DynamoDB against a server that says what it is told to: what goes over the wire, and what comes of answers. */

interface Seen {
  readonly headers: IncomingHttpHeaders;
  readonly raw: string;
  readonly body: Record<string, unknown>;
}
type Answer = (response: ServerResponse) => void;

const seen: Seen[] = [];
const answers: Answer[] = [];
const say =
  (status: number, body: object | string): Answer =>
  (response) =>
    response.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body));
const refuse = (name: string, status = 400, more: object = {}): Answer =>
  say(status, { __type: `com.amazonaws.dynamodb.v20120810#${name}`, message: `${name}, said`, ...more });
const hangUp: Answer = (response) => void response.socket?.destroy();
const beSilent: Answer = () => {};

const server = createServer(async (request, response) => {
  const raw = await text(request);
  seen.push({ headers: request.headers, raw, body: JSON.parse(raw) });
  (answers.shift() ?? say(200, {}))(response);
});

const ENVIRONMENT = {
  AWS_REGION: 'eu-central-1',
  AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
  AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
  AWS_SESSION_TOKEN: 'session-token',
};

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(() => {
  server.close();
  server.closeAllConnections();
});
beforeEach(() => {
  const { port } = server.address() as AddressInfo;
  for (const [name, value] of Object.entries(ENVIRONMENT)) vi.stubEnv(name, value);
  vi.stubEnv('AWS_ENDPOINT_URL_DYNAMODB', `http://127.0.0.1:${port}`);
  // No wait between tries.
  vi.spyOn(Math, 'random').mockReturnValue(0);
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  seen.length = 0;
  answers.length = 0;
});

const dynamodb = createDynamoDb({ connectionTimeout: 1_000, requestTimeout: 200 });
const get = () => dynamodb.send('GetItem', { TableName: 'rooms', Key: { PK: 'a', SK: 'b' } });
const failure = async (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => Promise.reject(new Error('It did not fail.')),
    (error: unknown) => error,
  );

describe('a request', () => {
  test('names its action, and has items as DynamoDB writes them, wherever they stand', async () => {
    await dynamodb.send('TransactWriteItems', {
      TransactItems: [
        { Put: { TableName: 'rooms', Item: { PK: 'a', n: 1, none: undefined, deep: { list: [true, null] } } } },
        {
          Update: {
            TableName: 'rooms',
            Key: { PK: 'a' },
            UpdateExpression: 'ADD admins :them',
            ExpressionAttributeValues: { ':them': new Set(['x', 'y']) },
          },
        },
      ],
    });
    expect(seen[0]?.headers).toMatchObject({
      'content-type': 'application/x-amz-json-1.0',
      'x-amz-target': 'DynamoDB_20120810.TransactWriteItems',
    });
    expect(seen[0]?.body).toEqual({
      ClientRequestToken: expect.stringMatching(/^[0-9a-f-]{36}$/),
      TransactItems: [
        {
          Put: {
            TableName: 'rooms',
            Item: {
              PK: { S: 'a' },
              n: { N: '1' },
              deep: { M: { list: { L: [{ BOOL: true }, { NULL: true }] } } },
            },
          },
        },
        {
          Update: {
            TableName: 'rooms',
            Key: { PK: { S: 'a' } },
            UpdateExpression: 'ADD admins :them',
            ExpressionAttributeValues: { ':them': { SS: ['x', 'y'] } },
          },
        },
      ],
    });
  });

  test('of keys by table, and what comes back of it', async () => {
    answers.push(
      say(200, {
        Responses: { rooms: [{ PK: { S: 'a' }, admins: { SS: ['x'] } }] },
        UnprocessedKeys: { rooms: { Keys: [{ PK: { S: 'b' } }], ConsistentRead: true } },
      }),
    );
    const answer = await dynamodb.send('BatchGetItem', {
      RequestItems: { rooms: { Keys: [{ PK: 'a' }, { PK: 'b' }], ConsistentRead: true } },
    });
    expect(seen[0]?.body).toEqual({
      RequestItems: { rooms: { Keys: [{ PK: { S: 'a' } }, { PK: { S: 'b' } }], ConsistentRead: true } },
    });
    expect(answer).toEqual({
      Responses: { rooms: [{ PK: 'a', admins: new Set(['x']) }] },
      UnprocessedKeys: { rooms: { Keys: [{ PK: 'b' }], ConsistentRead: true } },
    });
  });

  test('is signed as signature version 4 says', async () => {
    await get();
    const [request] = seen;
    if (!request) throw new Error('Nothing was sent.');
    const { authorization = '', ...headers } = request.headers;
    const [, credential = '', names = '', signature = ''] =
      /^AWS4-HMAC-SHA256 Credential=([^,]+), SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(authorization) ??
      [];
    const date = String(headers['x-amz-date']);
    const scope = `${date.slice(0, 8)}/eu-central-1/dynamodb/aws4_request`;
    expect(credential).toBe(`AKIDEXAMPLE/${scope}`);
    for (const name of ['host', 'x-amz-date', 'x-amz-security-token', 'x-amz-target'])
      expect(names.split(';')).toContain(name);
    expect(headers['x-amz-security-token']).toBe('session-token');

    // By hand, as https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html has it.
    const sha256 = (data: string) => createHash('sha256').update(data).digest('hex');
    const hmac = (key: string | Buffer, data: string) => createHmac('sha256', key).update(data).digest();
    const canonical = names.split(';').map((name) => `${name}:${String(headers[name]).trim()}\n`);
    const canonicalRequest = ['POST', '/', '', canonical.join(''), names, sha256(request.raw)].join('\n');
    const toSign = ['AWS4-HMAC-SHA256', date, scope, sha256(canonicalRequest)].join('\n');
    const secret = `AWS4${ENVIRONMENT.AWS_SECRET_ACCESS_KEY}`;
    const key = [date.slice(0, 8), 'eu-central-1', 'dynamodb', 'aws4_request'].reduce<string | Buffer>(hmac, secret);
    expect(signature).toBe(hmac(key, toSign).toString('hex'));
  });

  test('needs a region and credentials', async () => {
    vi.stubEnv('AWS_REGION', undefined);
    expect(await failure(get())).toMatchObject({ message: 'AWS_REGION must be set in the environment.' });
    vi.stubEnv('AWS_REGION', 'eu-central-1');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', undefined);
    // Those that a client has are kept.
    const other = createDynamoDb({ connectionTimeout: 1_000, requestTimeout: 200 });
    expect(await failure(other.send('Scan', { TableName: 'rooms' }))).toMatchObject({
      message: expect.stringContaining('must be set in the environment'),
    });
    expect(seen).toEqual([]);
  });

  test('goes to the domain of its region', () => {
    expect(domainOf('eu-central-1')).toBe('amazonaws.com');
    expect(domainOf('cn-north-1')).toBe('amazonaws.com.cn');
  });
});

describe('a refusal', () => {
  test('is an error that has its name, and the item as it stood', async () => {
    answers.push(refuse('ConditionalCheckFailedException', 400, { Item: { PK: { S: 'a' }, admins: { SS: ['x'] } } }));
    const error = await failure(get());
    expect(error).toBeInstanceOf(DynamoDbError);
    expect(error).toMatchObject({
      name: 'ConditionalCheckFailedException',
      message: 'ConditionalCheckFailedException, said',
      status: 400,
      Item: { PK: 'a', admins: new Set(['x']) },
    });
    expect(seen).toHaveLength(1);
  });

  test('of a transaction has a reason for each of its actions', async () => {
    answers.push(
      refuse('TransactionCanceledException', 400, {
        CancellationReasons: [{ Code: 'None' }, { Code: 'ConditionalCheckFailed', Item: { PK: { S: 'a' } } }],
      }),
    );
    expect(await failure(get())).toMatchObject({
      CancellationReasons: [{ Code: 'None' }, { Code: 'ConditionalCheckFailed', Item: { PK: 'a' } }],
    });
  });
});

describe('another try', () => {
  test.each([
    ['ProvisionedThroughputExceededException', refuse('ProvisionedThroughputExceededException')],
    ['ThrottlingException', refuse('ThrottlingException')],
    ['TransactionInProgressException', refuse('TransactionInProgressException')],
    ['InternalServerError', refuse('InternalServerError', 500)],
    ['ServiceUnavailable', refuse('ServiceUnavailable', 503)],
    ['a page of a proxy', say(502, '<html>Bad gateway</html>')],
    ['a connection that is closed', hangUp],
    ['silence', beSilent],
  ])('after %s', async (_, answer) => {
    answers.push(answer, say(200, { Item: { PK: { S: 'a' } } }));
    expect(await get()).toEqual({ Item: { PK: 'a' } });
    expect(seen).toHaveLength(2);
  });

  test.each(['ValidationException', 'AccessDeniedException', 'TransactionConflictException'])(
    'would not help after %s',
    async (name) => {
      answers.push(refuse(name));
      expect(await failure(get())).toMatchObject({ name });
      expect(seen).toHaveLength(1);
    },
  );

  test('is the third at most', async () => {
    answers.push(hangUp, hangUp, hangUp, say(200, {}));
    expect(await failure(get())).toMatchObject({ code: 'ECONNRESET' });
    expect(seen).toHaveLength(3);
  });

  test('waits longer, and longest where there was too much to do', async () => {
    vi.mocked(Math.random).mockReturnValue(0.5);
    const wait = async (answer: Answer) => {
      answers.push(answer, answer, say(200, {}));
      const start = performance.now();
      await get();
      return performance.now() - start;
    };
    // Halves of 100 and 200 ms, and of 500 and 1,000.
    expect(await wait(hangUp)).toBeGreaterThanOrEqual(145);
    expect(await wait(refuse('ThrottlingException'))).toBeGreaterThanOrEqual(745);
  });

  test('of a transaction has the token of the first, so that nothing happens twice; the next has its own', async () => {
    const write = () => dynamodb.send('TransactWriteItems', { TransactItems: [] });
    answers.push(hangUp);
    await write();
    await write();
    const [first, second, other] = seen.map(({ body }) => body.ClientRequestToken);
    expect(first).toEqual(expect.any(String));
    expect(second).toBe(first);
    expect(other).not.toBe(first);
  });

  test('that is silent too ends in a time-out', async () => {
    answers.push(beSilent, beSilent, beSilent);
    expect(await failure(get())).toMatchObject({ name: 'TimeoutError' });
  });
});

test('layers see what is asked, the first added outermost, and may answer themselves', async () => {
  const client = createDynamoDb({ connectionTimeout: 1_000, requestTimeout: 200 });
  const order: string[] = [];
  client.use(async (action, input, next) => {
    order.push(`outer ${action}`);
    return next(input);
  });
  client.use(async (action) => {
    order.push(`inner ${action}`);
    return { Item: { PK: 'from a layer' } };
  });
  expect(await client.send('GetItem', { TableName: 'rooms', Key: {} })).toEqual({ Item: { PK: 'from a layer' } });
  expect(order).toEqual(['outer GetItem', 'inner GetItem']);
  expect(seen).toEqual([]);
});
