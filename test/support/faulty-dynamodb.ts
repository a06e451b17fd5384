import { once } from 'node:events';
import { createServer, request as forward } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

/*
 * A proxy in front of DynamoDB Local that injects failures. It answers the chosen requests itself, in DynamoDB's exact
 * format, and forwards the rest. Tests therefore cover the SDK's own retries and parsing.
 */

/**
 * What happens to a request. `hang up` closes its connection. `lose the answer` does so after DynamoDB has processed
 * the request. `hold` delays the request until `release`, and drops it if the client disconnects.
 */
export type Fault =
  | { readonly status: number; readonly body: object }
  | 'hang up'
  | 'hold'
  | 'lose the answer'
  | ((answer: object) => object);

export interface FaultyDynamoDb {
  readonly url: string;
  /** Sets the faults for the next requests of an action, one each. Undefined means no fault. */
  next(action: string, ...faults: readonly (Fault | undefined)[]): void;
  /** Sets a fault for all further requests of an action, or for those that contain `text`, such as a room's ID. */
  always(action: string, fault: Fault, text?: string): void;
  /** Forwards the held requests. Returns how many clients still wait for a response. */
  release(): number;
  /** Removes all faults. Returns the number of requests per action since the last reset. */
  reset(): Readonly<Record<string, number>>;
  close(): Promise<void>;
}

const PREFIX = 'com.amazonaws.dynamodb.v20120810#';

/** An exception in DynamoDB's format. */
export const exception = (name: string, more: object = {}, status = 400): Fault => ({
  status,
  body: { __type: `${PREFIX}${name}`, message: `${name}, injected`, ...more },
});

export const canceled = (...codes: readonly string[]): Fault =>
  exception('TransactionCanceledException', {
    Message: `Transaction cancelled, please refer cancellation reasons for specific reasons [${codes.join(', ')}]`,
    CancellationReasons: codes.map((Code) => ({ Code })),
  });

/** A canceled transaction whose first condition failed for this item, given as DynamoDB JSON. */
export const refusedBy = (item: object): Fault =>
  exception('TransactionCanceledException', {
    CancellationReasons: [{ Code: 'ConditionalCheckFailed', Item: item }, { Code: 'None' }],
  });

export async function startFaultyDynamoDb(upstream: string): Promise<FaultyDynamoDb> {
  const queues = new Map<string, (Fault | undefined)[]>();
  const standing = new Map<string, { fault: Fault; text: string }>();
  let counts: Record<string, number> = {};
  const held = new Set<() => void>();

  const server = createServer(async (req, res) => {
    const action = String(req.headers['x-amz-target']).split('.')[1] ?? '';
    counts[action] = (counts[action] ?? 0) + 1;
    const body = await buffer(req);
    const always = standing.get(action);
    const fault = queues.get(action)?.shift() ?? (body.includes(always?.text ?? '') ? always?.fault : undefined);
    if (fault === 'hang up') return void req.socket.destroy();
    if (fault === 'hold')
      await new Promise<void>((resolve) => {
        held.add(resolve);
        // The client has disconnected, so the request is not forwarded.
        res.once('close', () => held.delete(resolve));
      });
    if (typeof fault === 'object') {
      res.writeHead(fault.status, { 'content-type': 'application/x-amz-json-1.0' });
      return void res.end(JSON.stringify(fault.body));
    }
    const passed = forward(upstream, { method: req.method, headers: req.headers });
    passed.end(body);
    const [answer] = await once(passed, 'response');
    const text = await buffer(answer);
    if (fault === 'lose the answer') return void req.socket.destroy();
    const { 'x-amz-crc32': _, 'content-length': __, ...headers } = answer.headers;
    res.writeHead(answer.statusCode, headers);
    res.end(typeof fault === 'function' ? JSON.stringify(fault(JSON.parse(text.toString()))) : text);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    next: (action, ...faults) => void queues.set(action, [...faults]),
    always: (action, fault, text = '') => void standing.set(action, { fault, text }),
    release() {
      const waiting = [...held];
      held.clear();
      for (const resolve of waiting) resolve();
      return waiting.length;
    },
    reset() {
      queues.clear();
      standing.clear();
      const seen = counts;
      counts = {};
      return seen;
    },
    async close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
