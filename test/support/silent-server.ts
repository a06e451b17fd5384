import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

/** A server that receives requests and does not respond. */
export interface SilentServer {
  readonly url: string;
  /** Method and path of each request, in order. */
  readonly requests: string[];
  /** How much of each response is sent: `nothing`, or the `headers` and half of the body. */
  answers: 'nothing' | 'headers';
  close(): Promise<void>;
}

export async function startSilentServer(): Promise<SilentServer> {
  const server = createServer(async (req, res) => {
    silent.requests.push(`${req.method} ${req.url?.split('?')[0]}`);
    await buffer(req).catch(() => undefined);
    if (silent.answers === 'headers')
      res.writeHead(200, { 'content-type': 'application/json', 'content-length': 100 }).write('{');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const silent: SilentServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: [],
    answers: 'nothing',
    async close() {
      server.close();
      server.closeAllConnections();
    },
  };
  return silent;
}

/**
 * A server that accepts no connections: its process is stopped and its backlog is full, so the kernel drops every new
 * attempt.
 */
export async function startUnreachableServer(): Promise<{ readonly url: string; close(): Promise<void> }> {
  const child = spawn(
    process.execPath,
    [
      '--eval',
      "require('net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, function () { console.log(this.address().port); })",
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const [line] = await once(child.stdout, 'data');
  const port = Number(String(line));
  child.kill('SIGSTOP');
  const sockets: Socket[] = [];
  for (let connected = true; connected; ) {
    const socket = connect(port, '127.0.0.1').on('error', () => undefined);
    sockets.push(socket);
    connected = await Promise.race([once(socket, 'connect').then(() => true), sleep(300, false)]);
  }
  return {
    url: `http://127.0.0.1:${port}`,
    async close() {
      for (const socket of sockets) socket.destroy();
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}
