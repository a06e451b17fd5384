import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createServer, type TLSSocket } from 'node:tls';
import { generate } from 'selfsigned';

export interface TlsProxies {
  /** The path of the certificate, for NODE_EXTRA_CA_CERTS. */
  readonly certificate: string;
  /** Starts a TLS proxy for the server at a URL. Returns `https://localhost:<port>`. */
  inFrontOf(target: string): Promise<string>;
  close(): Promise<void>;
}

/** Forwards chunks after a delay, in order. */
const delayed = (milliseconds: number): Transform =>
  new Transform({
    transform(chunk: Buffer, _encoding, done: TransformCallback) {
      setTimeout(() => done(null, chunk), milliseconds);
    },
  });

/**
 * Creates TLS proxies for local servers, with a real handshake and a self-signed certificate.
 *
 * @param delay one-way delay, in milliseconds
 */
export async function tlsProxies(delay: number): Promise<TlsProxies> {
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
  const open = new Set<TLSSocket>();
  const servers: ReturnType<typeof createServer>[] = [];
  return {
    certificate,
    async inFrontOf(target) {
      const { hostname, port } = new URL(target);
      const server = createServer({ key, cert }, (client) => {
        client.setMaxListeners(20);
        open.add(client);
        client.once('close', () => open.delete(client));
        const upstream = connect(Number(port), hostname);
        // Ignores the error of a client process that ends with open connections.
        pipeline(client, delayed(delay), upstream).catch(() => client.destroy());
        pipeline(upstream, delayed(delay), client).catch(() => upstream.destroy());
      });
      servers.push(server);
      server.listen(0, 'localhost');
      await once(server, 'listening');
      const address = server.address();
      if (typeof address !== 'object' || address === null) throw new Error('The proxy has no port.');
      return `https://localhost:${address.port}`;
    },
    async close() {
      for (const server of servers) server.close();
      for (const socket of open) socket.destroy();
      await rm(directory, { recursive: true });
    },
  };
}
