import type { Faults } from './faults.ts';
import { PASS, type Passing, type Reply, type Verdict } from './proxy.ts';

/* Failures of AWS services in their exact formats, so that tests cover the SDK's own retries and parsing. */

const DYNAMODB = 'com.amazonaws.dynamodb.v20120810#';

const dynamodbError = (name: string, status: number, more: object = {}): Reply => ({
  status,
  headers: { 'content-type': 'application/x-amz-json-1.0' },
  body: JSON.stringify({ __type: `${DYNAMODB}${name}`, message: `${name}, injected`, ...more }),
});

/** DynamoDB's response to a conflict with a transaction. A transaction gets the index of the conflicting item. */
function conflict(action: string, body: Buffer): Reply | undefined {
  if (action === 'TransactWriteItems') {
    const { TransactItems }: { TransactItems?: readonly unknown[] } = JSON.parse(body.toString());
    const codes = (TransactItems ?? []).map((_, index) => (index === 0 ? 'TransactionConflict' : 'None'));
    return dynamodbError('TransactionCanceledException', 400, {
      Message: `Transaction cancelled, please refer cancellation reasons for specific reasons [${codes.join(', ')}]`,
      CancellationReasons: codes.map((Code) => ({ Code })),
    });
  }
  if (['UpdateItem', 'PutItem', 'DeleteItem'].includes(action))
    return dynamodbError('TransactionConflictException', 400);
  return undefined;
}

/** Decides what happens to a request to DynamoDB. */
export function onDynamoDb(faults: Faults, { headers, body }: Passing): Verdict {
  const action = String(headers['x-amz-target']).split('.')[1] ?? '';
  if (faults.hits('dynamodb-refuse', action)) return { kind: 'hang up' };
  if (faults.hits('dynamodb-lose-answer', action)) return { kind: 'lose' };
  if (faults.hits('dynamodb-5xx', action)) return { kind: 'answer', reply: dynamodbError('InternalServerError', 500) };
  if (faults.hits('dynamodb-throttle', action) || (action === 'Query' && faults.hits('dynamodb-no-query', action)))
    return { kind: 'answer', reply: dynamodbError('ThrottlingException', 400) };
  const reply = conflict(action, body);
  if (reply && faults.hits('dynamodb-conflict', action)) return { kind: 'answer', reply };
  if (faults.hits('dynamodb-slow', action)) return { kind: 'pass', answerAfterMs: faults.random.between(50, 2_600) };
  return PASS;
}

const managementError = (status: number, name: string): Verdict => ({
  kind: 'answer',
  reply: {
    status,
    headers: { 'content-type': 'application/json', 'x-amzn-errortype': name },
    body: JSON.stringify({ message: name }),
  },
});

/** Decides what happens to a request to the connection management endpoint of the WebSocket API. */
export function onManagement(faults: Faults, { method, path }: Passing): Verdict {
  const what = `${method} ${path.split('/').at(-1)}`;
  const isPost = method === 'POST';
  if (isPost && faults.hits('post-throttle', what)) return managementError(429, 'LimitExceededException');
  if (method === 'DELETE' && faults.hits('close-throttle', what)) return managementError(429, 'LimitExceededException');
  if (faults.hits('post-5xx', what))
    return faults.random.chance(0.3) ? { kind: 'hang up' } : managementError(500, 'InternalServerException');
  if (isPost && faults.hits('post-lose-answer', what)) return { kind: 'lose' };
  if (isPost && faults.hits('post-slow', what)) {
    const ms = faults.random.between(100, 4_000);
    return faults.random.chance(0.5) ? { kind: 'pass', afterMs: ms } : { kind: 'pass', answerAfterMs: ms };
  }
  return PASS;
}

/** Decides what happens to a request to SQS, EventBridge, EventBridge Scheduler or Lambda. */
export function onServices(faults: Faults, { method, path, headers }: Passing): Verdict {
  const what = String(headers['x-amz-target'] ?? `${method} ${path.split('?')[0]}`);
  if (faults.hits('services-5xx', what))
    return faults.random.chance(0.3)
      ? { kind: 'hang up' }
      : {
          kind: 'answer',
          reply: {
            status: 500,
            headers: { 'content-type': 'application/json', 'x-amzn-errortype': 'InternalServerException' },
            body: '{"__type":"InternalServerException","message":"injected"}',
          },
        };
  return faults.hits('services-lose-answer', what) ? { kind: 'lose' } : PASS;
}

/** Decides what happens to a request to S3: a client's PUT or GET with a presigned URL, or a function's HEAD. */
export function onS3(faults: Faults, { method }: Passing): Verdict {
  if (faults.hits('s3-refuse', method)) return { kind: 'hang up' };
  if (faults.hits('s3-lose-answer', method)) return { kind: method === 'GET' ? 'break off' : 'lose' };
  if (faults.hits('s3-5xx', method))
    return {
      kind: 'answer',
      reply: {
        status: 503,
        headers: { 'content-type': 'application/xml' },
        body: '<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>',
      },
    };
  if (faults.hits('s3-slow', method)) return { kind: 'pass', answerAfterMs: faults.random.between(50, 2_600) };
  return PASS;
}

/** Decides what happens to a client's request to the HTTP API. */
export function onHttpApi(faults: Faults, { method, path }: Passing): Verdict {
  if (!faults.hits('http-5xx', `${method} ${path}`)) return PASS;
  const status = faults.random.pick([502, 503, 504]);
  const reply: Reply = {
    status,
    headers: { 'content-type': 'application/json' },
    body: '{"message":"Service Unavailable"}',
  };
  // A 504 always comes after the function was invoked, and the others usually before.
  return status === 504 || faults.random.chance(0.2) ? { kind: 'lose', reply } : { kind: 'answer', reply };
}
