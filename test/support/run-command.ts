import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';

/** Runs an operator command, `bin/<name>.ts`, in a process without any configuration of the AWS SDK. */
export function runCommand(
  name: string,
  args: readonly string[],
  variables: Readonly<Record<string, string>> = {},
): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [`bin/${name}.ts`, ...args], {
    cwd: resolve(import.meta.dirname, '../..'),
    encoding: 'utf8',
    env: {
      PATH: process.env.PATH,
      HOME: '/nowhere',
      AWS_CONFIG_FILE: '/nowhere',
      AWS_SHARED_CREDENTIALS_FILE: '/nowhere',
      AWS_EC2_METADATA_DISABLED: 'true',
      ...variables,
    },
  });
  return { status, stdout, stderr };
}
