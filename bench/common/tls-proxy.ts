import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createServer } from 'node:tls';
import { generate } from 'selfsigned';

export interface TlsProxy {
  /** `https://localhost:<port>` */
  readonly url: string;
  /** A file with the certificate, for NODE_EXTRA_CA_CERTS. */
  readonly certificate: string;
  close(): Promise<void>;
}

/** Passes chunks on after a delay, in order. */
const delayed = (milliseconds: number): Transform =>
  new Transform({
    transform(chunk: Buffer, _encoding, done: TransformCallback) {
      setTimeout(() => done(null, chunk), milliseconds);
    },
  });

/**
 * Puts TLS in front of a local server, as AWS has it: a real handshake with a certificate of its own.
 *
 * @param target URL of the server
 * @param delay how long each way takes, in milliseconds
 */
export async function startTlsProxy(target: string, delay: number): Promise<TlsProxy> {
  const { hostname, port } = new URL(target);
  const { private: key, cert } = await generate([{ name: 'commonName', value: 'localhost' }], {
    keyType: 'ec',
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] },
    ],
  });
  const directory = await mkdtemp(join(tmpdir(), 'rooms-tls-'));
  const certificate = join(directory, 'certificate.pem');
  await writeFile(certificate, cert);
  const server = createServer({ key, cert }, (client) => {
    const upstream = connect(Number(port), hostname);
    // A client that ends its process breaks off, which is no fault.
    pipeline(client, delayed(delay), upstream).catch(() => client.destroy());
    pipeline(upstream, delayed(delay), client).catch(() => upstream.destroy());
  });
  server.listen(0, 'localhost');
  await once(server, 'listening');
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('The proxy has no port.');
  return {
    url: `https://localhost:${address.port}`,
    certificate,
    async close() {
      server.close();
      await rm(directory, { recursive: true });
    },
  };
}
