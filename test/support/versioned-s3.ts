import { once } from 'node:events';
import { createServer, request as forward } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { HeadObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { statusOf } from '../../core/platform/status-of.ts';
import { CREDENTIALS } from '../../local/s3/s3.ts';

/*
 * A proxy in front of s3rver that adds delete markers, in S3's exact format, and forwards all other requests. Upload
 * URLs store an object once, so each object has one version, and delete markers above it.
 */

export interface VersionedS3 {
  readonly url: string;
  /** Called before each request that changes an object is processed. */
  onWrite: ((request: { method: string; key: string }) => void | Promise<void>) | undefined;
  /** Removes the only version of an object, as a lifecycle rule does. */
  expire(key: string): void;
  close(): Promise<void>;
}

const VERSION = 'the-one-version';

export async function startVersionedS3(upstream: string): Promise<VersionedS3> {
  /** Delete markers by key, newest last. */
  const markers = new Map<string, string[]>();
  const expired = new Set<string>();
  let count = 0;

  const client = new S3Client({
    endpoint: upstream,
    credentials: CREDENTIALS,
    region: 'us-east-1',
    forcePathStyle: true,
  });
  async function isStored(Bucket: string, Key: string): Promise<boolean> {
    try {
      await client.send(new HeadObjectCommand({ Bucket, Key }));
      return true;
    } catch (error) {
      if (statusOf(error) === 404) return false;
      throw error;
    }
  }

  const server = createServer(async (req, res) => {
    const { pathname, searchParams } = new URL(req.url ?? '/', upstream);
    const { method = '' } = req;
    const [, bucket = '', ...rest] = pathname.split('/');
    const key = decodeURIComponent(rest.join('/'));
    if (method !== 'GET' && method !== 'HEAD') await service.onWrite?.({ method, key });
    const own = markers.get(key) ?? [];
    if (searchParams.has('versions')) {
      const prefix = searchParams.get('prefix') ?? '';
      const stored = !expired.has(prefix) && (await isStored(bucket, prefix));
      const hidden = markers.get(prefix) ?? [];
      const entry = (kind: string, id: string, latest: boolean) =>
        `<${kind}><Key>${prefix}</Key><VersionId>${id}</VersionId><IsLatest>${latest}</IsLatest></${kind}>`;
      res.setHeader('content-type', 'application/xml');
      return void res.end(
        `<?xml version="1.0"?><ListVersionsResult>${hidden
          .toReversed()
          .map((id, n) => entry('DeleteMarker', id, n === 0))
          .join('')}${stored ? entry('Version', VERSION, hidden.length === 0) : ''}</ListVersionsResult>`,
      );
    }
    if (method === 'DELETE') {
      const version = searchParams.get('versionId');
      if (version !== null)
        markers.set(
          key,
          own.filter((id) => id !== version),
        );
      else markers.set(key, [...own, `marker-${++count}`]);
      return void res.writeHead(204, { 'x-amz-delete-marker': 'true' }).end();
    }
    if ((method === 'GET' || method === 'HEAD') && (own.length > 0 || expired.has(key)))
      return void res.writeHead(404, { 'x-amz-delete-marker': 'true' }).end();
    const passed = forward(new URL(req.url ?? '/', upstream), { method, headers: req.headers });
    void pipeline(req, passed).catch(() => {});
    const [answer] = await once(passed, 'response');
    res.writeHead(answer.statusCode, answer.headers);
    await pipeline(answer, res);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const service: VersionedS3 = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    onWrite: undefined,
    expire: (key) => void expired.add(key),
    async close() {
      server.close();
      server.closeAllConnections();
    },
  };
  return service;
}
