import { afterEach, expect, test } from 'vitest';
import { findPort, type Listening, listen, PortError } from '../../../local/listen.ts';

const open: Listening[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
});
async function serve(): Promise<Listening> {
  const server = await listen((_request, response) => response.end('here'), 0);
  open.push(server);
  return server;
}

test('listens on the loopback interface', async () => {
  const { url } = await serve();
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  expect(await (await fetch(url)).text()).toBe('here');
});

test('finds a free port, and only the requested one', async () => {
  const { port } = await serve();
  const free = await findPort(0);
  expect(free).not.toBe(port);
  expect(await findPort(free)).toBe(free);
  await expect(findPort(port)).rejects.toThrow(PortError);
});

test('reports a port that is in use', async () => {
  const { port } = await serve();
  const attempt = listen(() => {}, port);
  await expect(attempt).rejects.toThrow(PortError);
  await expect(attempt).rejects.toThrow(`Port ${port} is taken`);
});

test('closes without waiting for pending requests', async () => {
  const server = await listen(() => {}, 0);
  const hanging = fetch(server.url).catch(() => 'cut off');
  await server.close();
  expect(await hanging).toBe('cut off');
});
