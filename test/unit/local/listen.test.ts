import { afterEach, expect, it } from 'vitest';
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

it('listens on the loopback interface', async () => {
  const { url } = await serve();
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  expect(await (await fetch(url)).text()).toBe('here');
});

it('finds a free port, and only the one that it is asked for', async () => {
  const { port } = await serve();
  const free = await findPort(0);
  expect(free).not.toBe(port);
  expect(await findPort(free)).toBe(free);
  await expect(findPort(port)).rejects.toThrow(PortError);
});

it('says so where the port is taken', async () => {
  const { port } = await serve();
  const attempt = listen(() => {}, port);
  await expect(attempt).rejects.toThrow(PortError);
  await expect(attempt).rejects.toThrow(`Port ${port} is taken`);
});

it('closes without waiting for requests that hang', async () => {
  const server = await listen(() => {}, 0);
  const hanging = fetch(server.url).catch(() => 'cut off');
  await server.close();
  expect(await hanging).toBe('cut off');
});
