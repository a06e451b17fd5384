import { afterEach, expect, it } from 'vitest';
import { findPort, type Listening, listen, PortError } from '../../../local/listen.ts';

const open: Listening[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
});
async function serve(choice: Parameters<typeof listen>[1]): Promise<Listening> {
  const server = await listen((_request, response) => response.end('here'), choice);
  open.push(server);
  return server;
}

it('listens on the loopback interface', async () => {
  const { url } = await serve({ exactly: 0 });
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  expect(await (await fetch(url)).text()).toBe('here');
});

it('takes another port where the usual one is taken', async () => {
  const { port } = await serve({ exactly: 0 });
  const other = await serve({ usual: port });
  expect(other.port).not.toBe(port);
  expect(await (await fetch(other.url)).text()).toBe('here');
  expect(await findPort(port)).not.toBe(port);
});

it('says so where the one port it may take is taken', async () => {
  const { port } = await serve({ exactly: 0 });
  const attempt = listen(() => {}, { exactly: port });
  await expect(attempt).rejects.toThrow(PortError);
  await expect(attempt).rejects.toThrow(`Port ${port} is taken`);
});

it('closes without waiting for requests that hang', async () => {
  const server = await listen(() => {}, { exactly: 0 });
  const hanging = fetch(server.url).catch(() => 'cut off');
  await server.close();
  expect(await hanging).toBe('cut off');
});
