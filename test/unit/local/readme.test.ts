import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { DEFAULT_PORT, portsFrom } from '../../../local/cli/ports.ts';

const read = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');
const PORTS = portsFrom(DEFAULT_PORT);

/** Every `http://127.0.0.1:<port>` and `ws://…` of a text. */
const addresses = (text: string): Set<string> => new Set(text.match(/\b(?:http|ws):\/\/127\.0\.0\.1:\d+/g));

test('README.md names the port of the HTTP API, and no other', () => {
  expect(addresses(read('README.md'))).toEqual(new Set([`http://127.0.0.1:${PORTS.http}`]));
});

test("the SDK's README names the ports of both APIs, and the package as it is built", () => {
  const readme = read('client/README.md');
  expect(addresses(readme)).toEqual(new Set([`http://127.0.0.1:${PORTS.http}`, `ws://127.0.0.1:${PORTS.ws}`]));
  const { version } = JSON.parse(read('client/package.json'));
  expect(readme).toContain(`npm install /tmp/rooms-client-${version}.tgz`);
});
