import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { credentialsOf, REGION } from './emulator.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BIN = join(ROOT, 'node_modules', '.bin');

export interface Target {
  readonly endpoint: string;
  readonly certificate: string;
  /** Path of the Python interpreter that has the emulator's packages. */
  readonly python: string;
  /** Directory for cloud assemblies and for the IDs of running processes. */
  readonly directory: string;
  /** The code that is deployed. Default: this repository. */
  readonly root?: string;
  /** The account to deploy to. Each test file has its own account, so that deployments do not affect each other. */
  readonly account: string;
}

/** Returns environment variables with which all AWS clients of a process connect only to the emulator. */
export function environment({ endpoint, certificate, account }: Target): NodeJS.ProcessEnv {
  const credentials = credentialsOf(account);
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('AWS_'));
  return {
    ...Object.fromEntries(own),
    PATH: [BIN, process.env.PATH].join(delimiter),
    AWS_ENDPOINT_URL: endpoint,
    AWS_REGION: REGION,
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    AWS_CA_BUNDLE: certificate,
    NODE_EXTRA_CA_CERTS: certificate,
    AWS_CONFIG_FILE: '/nowhere',
    AWS_SHARED_CREDENTIALS_FILE: '/nowhere',
    AWS_EC2_METADATA_DISABLED: 'true',
    CDK_DISABLE_CLI_TELEMETRY: 'true',
    CI: 'true',
    NO_COLOR: '1',
  };
}

const RUNNING = 'cdk-running-';
const runningFile = ({ directory, account }: Target): string => join(directory, `${RUNNING}${account}`);

/**
 * Runs `cdk <args> -c env=dev …`, and returns the output.
 *
 * @throws with the last lines of the output if the command fails.
 */
export async function cdk(
  target: Target,
  context: Readonly<Record<string, string>>,
  ...args: string[]
): Promise<string> {
  const options = Object.entries({ env: 'dev', ...context }).flatMap(([key, value]) => ['-c', `${key}=${value}`]);
  const child = spawn(
    'cdk',
    [...args, ...options, '--output', join(target.directory, `cdk.out-${target.account}`), '--no-notices'],
    {
      cwd: target.root ?? ROOT,
      env: environment(target),
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    },
  );
  writeFileSync(runningFile(target), String(child.pid));
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  const [code] = await once(child, 'close');
  writeFileSync(runningFile(target), '');
  if (code === 0) return said;
  throw new Error(`cdk ${args.join(' ')} ended with ${code}:\n${said.trim().split('\n').slice(-40).join('\n')}`);
}

/** Kills all running CDK commands at once. Works from any process. */
export function killCdk(directory: string): void {
  for (const name of readdirSync(directory).filter((each) => each.startsWith(RUNNING)))
    try {
      const pid = Number(readFileSync(join(directory, name), 'utf8'));
      if (pid > 0) process.kill(-pid, 'SIGKILL');
    } catch {
      // The process has already ended.
    }
}
