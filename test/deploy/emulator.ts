import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { get } from 'node:https';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { findPort, HOST } from '../../local/listen.ts';

const LAUNCHER = fileURLToPath(new URL('emulator.py', import.meta.url));
const BIN = fileURLToPath(new URL('../../node_modules/.bin', import.meta.url));

export const ACCOUNT = '123456789012';
export const REGION = 'eu-central-1';
/**
 * Returns the credentials of an account's root user. ministack accepts the account number as the access key, with any secret.
 * It isolates accounts, so each test file uses its own account.
 */
export const credentialsOf = (account: string) => ({ accessKeyId: account, secretAccessKey: 'any' });
export const CREDENTIALS = credentialsOf(ACCOUNT);

export interface Emulator {
  /** HTTPS URL of all emulated services. */
  readonly endpoint: string;
  /** PEM file of the emulator's self-signed certificate. */
  readonly certificate: string;
  /** Returns the log of the emulator and its functions. */
  log(): string;
  /** Kills the emulator and its functions. */
  kill(): void;
}

/** Starts the emulator, and waits until it responds. Its files are in `directory`, which must be empty. */
export async function startEmulator(python: string, directory: string): Promise<Emulator> {
  const port = await findPort(0);
  const child = spawn(python, [LAUNCHER, String(port), ACCOUNT, REGION, directory], {
    // Only PATH is passed on, so that the developer's AWS configuration has no effect. Functions run on the Node of this repository.
    env: { PATH: [BIN, process.env.PATH].join(delimiter) },
    stdio: ['pipe', 'pipe', 'pipe'],
    // A separate process group, so that all its processes can be killed together.
    detached: true,
  });
  let log = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      log += text;
    });
  let failed: string | undefined;
  child.on('error', (error) => {
    failed = error.message;
  });
  child.on('exit', (code, signal) => {
    failed = `it ended with ${signal ?? code}`;
  });
  const kill = (): void => {
    if (child.pid === undefined || failed !== undefined) return;
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // The process has already ended.
    }
  };

  const certificate = join(directory, 'certificate.pem');
  while (!(await answers(port, certificate))) {
    if (failed !== undefined) throw new Error(`The emulator did not start, ${failed}:\n${log}`);
    await sleep(100);
  }
  return { endpoint: `https://${HOST}:${port}`, certificate, log: () => log, kill };
}

async function answers(port: number, certificate: string): Promise<boolean> {
  const ca = await readFile(certificate, 'utf8').catch(() => undefined);
  if (ca === undefined) return false;
  return new Promise((resolve) => {
    get({ host: HOST, port, path: '/_ministack/ready', ca, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    }).on('error', () => resolve(false));
  });
}
