import { createServer, type Server } from 'node:http';
import { afterEach, expect, test } from 'vitest';
import { claimPorts, DEFAULT_PORT, portsFrom } from '../../../local/cli/ports.ts';
import { findPort, HOST, type Listening, listen, PortError } from '../../../local/listen.ts';

const open: Listening[] = [];
const servers: Server[] = [];
afterEach(async () => {
  for (const listening of open.splice(0)) await listening.close();
  for (const server of servers.splice(0)) server.close();
});

/** Replaces the ports of this machine, which other programs may use. Only the ports in `taken` are in use. */
const listenHttp =
  (taken: readonly number[] = []) =>
  async (port: number): Promise<Listening> => {
    if (taken.includes(port)) throw new PortError(`Port ${port} is taken.`);
    return { url: `http://${HOST}:${port}`, port, close: async () => {} };
  };

test('the other ports follow the port of the HTTP API', async () => {
  expect(portsFrom(5000)).toEqual({ http: 5000, issuer: 5001, s3: 5002, dynamodb: 5003, ws: 5004, aws: 5005 });
  const { ports, http } = await claimPorts({ port: 5000 }, listenHttp());
  expect(ports).toEqual(portsFrom(5000));
  expect(http.port).toBe(5000);
});

test('with port 0, each part gets any free port', async () => {
  expect(new Set(Object.values(portsFrom(0)))).toEqual(new Set([0]));
});

test('the ports of the last run are reused, unless others are requested', async () => {
  const kept = { http: 5_001, issuer: 6_002, s3: 7_003, dynamodb: 8_004, ws: 9_005, aws: 9_006 };
  expect((await claimPorts({ kept }, listenHttp())).ports).toEqual(kept);
  expect((await claimPorts({ kept, port: 5000 }, listenHttp())).ports).toEqual(portsFrom(5000));
});

test('a requested or reused port is not replaced by another one', async () => {
  await expect(claimPorts({ port: 5000 }, listenHttp([5000]))).rejects.toThrow(PortError);
  await expect(claimPorts({ kept: portsFrom(5000) }, listenHttp([5000]))).rejects.toThrow(PortError);
});

test('without requested or previous ports, the first block of free ports is used', async () => {
  const taken = [DEFAULT_PORT, DEFAULT_PORT + 10];
  const { ports } = await claimPorts({}, listenHttp(taken));
  expect(ports.http % 10).toBe(0);
  expect(ports.http).toBeGreaterThanOrEqual(DEFAULT_PORT + 20);
  expect(ports).toEqual(portsFrom(ports.http));
});

test('a block with a port that is in use is skipped', async () => {
  const first = (await claimPorts({}, listenHttp())).ports;
  const server = createServer().listen(first.ws, HOST);
  servers.push(server);
  await new Promise((resolve) => server.once('listening', resolve));
  expect((await claimPorts({}, listenHttp())).ports.http).toBeGreaterThan(first.http);
});

test('a stack that starts at the same time uses another block', async () => {
  const claim = async () => {
    const { ports, http } = await claimPorts({}, (port) => listen(() => {}, port));
    open.push(http);
    return ports.http;
  };
  const claimed = await Promise.all([claim(), claim(), claim()]);
  expect(new Set(claimed).size).toBe(3);
  expect(await findPort(0)).toBeGreaterThan(0);
});
