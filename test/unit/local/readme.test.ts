import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { DEFAULT_PORT, portsFrom } from '../../../local/cli/ports.ts';

const read = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');
const PORTS = portsFrom(DEFAULT_PORT);

/** All addresses of the form `http://127.0.0.1:<port>` or `ws://127.0.0.1:<port>` in a text. */
const addresses = (text: string): Set<string> => new Set(text.match(/\b(?:http|ws):\/\/127\.0\.0\.1:\d+/g));

test('README.md contains the port of the HTTP API, and no other port', () => {
  expect(addresses(read('README.md'))).toEqual(new Set([`http://127.0.0.1:${PORTS.http}`]));
});

test("the SDK's README contains the ports of both APIs, and the file name of the built package", () => {
  const readme = read('client/README.md');
  expect(addresses(readme)).toEqual(new Set([`http://127.0.0.1:${PORTS.http}`, `ws://127.0.0.1:${PORTS.ws}`]));
  const { version } = JSON.parse(read('client/package.json'));
  expect(readme).toContain(`npm install /tmp/rooms-client-${version}.tgz`);
});
