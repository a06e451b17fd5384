import { execFileSync } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import * as v from 'valibot';
import { isUnresponsive, SQS_LATENCY_MS } from './unresponsive.ts';

/*
 * A connection management endpoint of a WebSocket API behind TLS, in a separate process. All posts and closes succeed,
 * except to unresponsive connections, for which there is no response. It is also a queue that accepts all messages.
 * The argument is the response time in milliseconds. Reports its address and certificate, and on request what the
 * connections received since the last request.
 */

const latency = Number(process.argv[2]);

/** A key and a certificate for 127.0.0.1, which are deleted when this process ends. */
function certificate(): { key: string; cert: string } {
  const folder = mkdtempSync(join(tmpdir(), 'rooms-bench-'));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  try {
    const args = ['req', '-x509', ...ec, '-nodes', '-days', '1', ...subject, '-keyout', key, '-out', cert];
    execFileSync('openssl', args, { stdio: 'ignore' });
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** How many events each connection received, and when it received the last one, in epoch milliseconds. */
const had = new Map<string, { events: number; last: number }>();
const closed = new Set<string>();
let [posts, under, peak] = [0, 0, 0];

/** A frame of rooms.v2 contains several events, and a frame of rooms.v1 is one event. */
const packed = v.object({ events: v.array(v.unknown()) });
const eventsIn = (frame: unknown): number => (v.is(packed, frame) ? frame.events.length : 1);

const queued = v.object({ MessageBody: v.string() });
/** Accepts a message as SQS does. */
async function enqueue(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { MessageBody } = v.parse(queued, await json(request));
  const MD5OfMessageBody = createHash('md5').update(MessageBody).digest('hex');
  setTimeout(
    () => response.end(JSON.stringify({ MessageId: randomUUID(), MD5OfMessageBody, SequenceNumber: '1' })),
    SQS_LATENCY_MS,
  );
}

const { key, cert } = certificate();
const server = createServer({ key, cert, keepAlive: true }, (request, response) => {
  if (request.headers['x-amz-target'] === 'AmazonSQS.SendMessage') return void enqueue(request, response);
  // Requests to Lambda fail with 404, so that the invoker delivers all batches itself.
  if (!request.url?.includes('/@connections/'))
    return void request.resume().once('end', () => response.writeHead(404).end());
  const id = decodeURIComponent(/\/@connections\/([^/?]+)/.exec(request.url ?? '')?.[1] ?? '');
  peak = Math.max(peak, ++under);
  response.once('close', () => under--);
  const arrived = request.method === 'DELETE' ? Promise.resolve(undefined) : json(request);
  const take = (frame: unknown) =>
    setTimeout(() => {
      // The caller has disconnected.
      if (response.destroyed) return;
      if (request.method === 'DELETE') closed.add(id);
      else {
        posts++;
        had.set(id, { events: (had.get(id)?.events ?? 0) + eventsIn(frame), last: Date.now() });
      }
      response.writeHead(request.method === 'DELETE' ? 204 : 200).end();
    }, latency);
  // Ignores a request that the caller aborts.
  if (!isUnresponsive(id)) arrived.then(take, () => {});
});
server.keepAliveTimeout = 65_000;
server.listen(0, '127.0.0.1', 2_048, () => {
  process.send?.({ url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, cert });
});
process.on('message', () => {
  const connections = [...had].map(([id, { events, last }]) => [id, events, last]);
  process.send?.({ connections, posts, closed: [...closed], peak });
  had.clear();
  closed.clear();
  [posts, peak] = [0, 0];
});
process.once('disconnect', () => process.exit());
