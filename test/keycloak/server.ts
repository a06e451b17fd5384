import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import * as v from 'valibot';
import { findPort, HOST } from '../../local/listen.ts';

const VERSION = '26.7.3';
const ARTIFACT = `org.keycloak:keycloak-quarkus-dist:${VERSION}:zip`;
const ADMIN = { username: 'admin', password: 'admin' };
/** Maximum start-up time in milliseconds. An idle machine needs about 13 s. */
const START_MS = 300_000;
const DOWNLOAD_MS = 300_000;

/** Thrown if this machine cannot run Keycloak. The tests are then skipped, and the one-line message is shown. */
export class OutOfReach extends Error {}

export interface Keycloak {
  /** Base URL without a trailing slash. */
  readonly url: string;
  /** Calls the Admin REST API under `/admin`, and returns the parsed body. Throws if the status is not 2xx. */
  admin(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: object): Promise<unknown>;
  close(): Promise<void>;
}

/**
 * Starts Keycloak in development mode on a free port. Maven downloads it from Maven Central and caches it.
 *
 * @throws {OutOfReach} if Maven is not installed, or cannot download the package.
 */
export async function startKeycloak(): Promise<Keycloak> {
  const directory = mkdtempSync(join(tmpdir(), 'rooms-keycloak-'));
  const remove = (): void => rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  try {
    await unpack(directory);
  } catch (error) {
    remove();
    throw error;
  }
  const port = await findPort(0);
  const url = `http://${HOST}:${port}`;
  const child = spawn('sh', ['bin/kc.sh', 'start-dev', `--http-host=${HOST}`, `--http-port=${port}`], {
    cwd: join(directory, `keycloak-${VERSION}`),
    stdio: ['ignore', 'pipe', 'pipe'],
    // A separate process group, because the script starts Java, and both must be killed.
    detached: true,
    env: {
      ...process.env,
      KC_BOOTSTRAP_ADMIN_USERNAME: ADMIN.username,
      KC_BOOTSTRAP_ADMIN_PASSWORD: ADMIN.password,
      JAVA_OPTS_APPEND: '-Xmx512m',
    },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-4_000);
    });
  const kill = (): void => {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null)
      process.kill(-child.pid, 'SIGKILL');
    remove();
  };
  process.on('exit', kill);
  const ended = once(child, 'close');
  const close = async (): Promise<void> => {
    process.off('exit', kill);
    kill();
    await ended;
    remove();
  };

  const deadline = Date.now() + START_MS;
  while (!(await answers(`${url}/realms/master`))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      await close();
      throw new Error(`Keycloak did not start:\n${output}`);
    }
    await sleep(200);
  }

  return {
    url,
    close,
    async admin(method, path, body) {
      // Requests a token for each call, because it expires after a minute.
      const login = await fetch(`${url}/realms/master/protocol/openid-connect/token`, {
        method: 'POST',
        body: new URLSearchParams({ grant_type: 'password', client_id: 'admin-cli', ...ADMIN }),
      });
      const { access_token } = v.parse(v.object({ access_token: v.string() }), await login.json());
      const response = await fetch(`${url}/admin${path}`, {
        method,
        headers: { authorization: `Bearer ${access_token}`, 'content-type': 'application/json' },
        ...(body && { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
      return text === '' ? undefined : JSON.parse(text);
    },
  };
}

async function unpack(directory: string): Promise<void> {
  try {
    await promisify(execFile)(
      'mvn',
      ['--batch-mode', '--quiet', 'dependency:unpack', `-Dartifact=${ARTIFACT}`, `-DoutputDirectory=${directory}`],
      { cwd: directory, timeout: DOWNLOAD_MS },
    );
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      throw new OutOfReach('There is no Maven.');
    const said = error instanceof Error && 'stdout' in error ? String(error.stdout) : String(error);
    const reason = said.split('\n').find((line) => line.includes('ERROR')) ?? 'no answer in time';
    throw new OutOfReach(`Maven could not get ${ARTIFACT}: ${reason.slice(0, 200)}`);
  }
}

const answers = (url: string): Promise<boolean> =>
  fetch(url, { signal: AbortSignal.timeout(2_000) }).then(
    ({ ok }) => ok,
    () => false,
  );
