import { once } from 'node:events';
import { createServer, request as forward } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import * as v from 'valibot';

/*
 * A proxy in front of DynamoDB Local that adds conflicts between transactions. It holds the items of a running
 * transaction, and rejects other writes of them like DynamoDB.
 */

export interface ConflictingDynamoDb {
  readonly url: string;
  /** The number of rejected writes since the last call, by action. */
  conflicts(): Readonly<Record<string, number>>;
  close(): void;
}

const text = v.object({ S: v.string() });
const key = v.object({ PK: text, SK: text });
const write = v.union([
  v.pipe(
    v.object({ Key: key }),
    v.transform(({ Key }) => Key),
  ),
  v.pipe(
    v.object({ Item: key }),
    v.transform(({ Item }) => Item),
  ),
]);
const transaction = v.object({ TransactItems: v.array(v.record(v.string(), write)) });
const WRITES: ReadonlySet<string> = new Set(['PutItem', 'UpdateItem', 'DeleteItem']);

/** The keys of the items that a request writes or checks. */
function itemsOf(action: string, body: Buffer): string[] {
  const name = ({ PK, SK }: v.InferOutput<typeof key>): string => `${PK.S} ${SK.S}`;
  const json: unknown = JSON.parse(body.toString());
  if (action === 'TransactWriteItems')
    return v.parse(transaction, json).TransactItems.flatMap((item) => Object.values(item).map(name));
  return WRITES.has(action) ? [name(v.parse(write, json))] : [];
}

/** @param holdMs how long a transaction holds its items, in milliseconds */
export async function startConflictingDynamoDb(upstream: string, holdMs: number): Promise<ConflictingDynamoDb> {
  const held = new Set<string>();
  let counts: Record<string, number> = {};
  const server = createServer(async (req, res) => {
    const action = String(req.headers['x-amz-target']).split('.')[1] ?? '';
    const body = await buffer(req);
    const items = itemsOf(action, body);
    const transacts = action === 'TransactWriteItems';
    if (items.some((item) => held.has(item))) {
      counts[action] = (counts[action] ?? 0) + 1;
      const prefix = 'com.amazonaws.dynamodb.v20120810#';
      const reasons = items.map((item) => ({ Code: held.has(item) ? 'TransactionConflict' : 'None' }));
      res.writeHead(400, { 'content-type': 'application/x-amz-json-1.0' });
      return void res.end(
        JSON.stringify(
          transacts
            ? { __type: `${prefix}TransactionCanceledException`, Message: 'Conflict', CancellationReasons: reasons }
            : { __type: `${prefix}TransactionConflictException`, message: 'Transaction is ongoing for the item' },
        ),
      );
    }
    const hold = transacts ? holdMs : 0;
    if (transacts) {
      for (const item of items) held.add(item);
      // A fixed time, as on AWS: independent of the speed of this machine.
      setTimeout(() => {
        for (const item of items) held.delete(item);
      }, holdMs);
    }
    const passed = forward(upstream, { method: req.method, headers: req.headers });
    passed.end(body);
    const [[answer]] = await Promise.all([once(passed, 'response'), sleep(hold)]);
    res.writeHead(answer.statusCode, answer.headers);
    res.end(await buffer(answer));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    conflicts() {
      const seen = counts;
      counts = {};
      return seen;
    },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
