import { existsSync, mkdirSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/*
 * Limits the CPU share of processes as Lambda does by memory. Uses a Linux control group with a quota per 20 ms, the
 * measured period of Lambda
 * (https://engineering.opsgenie.com/how-does-proportional-cpu-allocation-work-with-aws-lambda-41cd44da3cac).
 */

const PERIOD_US = 20_000;

/** The prefix of the control groups' names, before the process ID and the quota. */
const PREFIX = 'rooms-bench-';

/** The root folder and the settings of control groups: version 1, then version 2. */
const VERSIONS = [
  {
    root: '/sys/fs/cgroup/cpu',
    sign: 'cpu.cfs_quota_us',
    settings: (quota: number) => ({
      'cpu.cfs_period_us': `${PERIOD_US}`,
      'cpu.cfs_quota_us': `${quota}`,
      // Protects the function from other load on this machine: only the quota limits it.
      'cpu.shares': '65536',
    }),
  },
  {
    root: '/sys/fs/cgroup',
    sign: 'cgroup.subtree_control',
    settings: (quota: number) => ({ 'cpu.max': `${quota} ${PERIOD_US}`, 'cpu.weight': '10000' }),
  },
] as const;

/**
 * Returns the number of vCPUs of a function by its memory: 1,769 MB are one vCPU. @see
 * https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
 */
export const shareOf = (memory: number): number => memory / 1_769;

export interface CpuShare {
  /** The file to which a process writes its ID to join the control group. */
  readonly procs: string;
  /** Adds a process to the control group, and with it all processes that it will start. */
  add(pid: number | undefined): void;
  /** Removes the control group after its processes have ended. */
  remove(): Promise<void>;
}

/**
 * Creates a control group with a CPU share.
 *
 * @param share 0.29 is 29 % of one processor
 * @returns undefined if this machine has no control groups, or the user has no permission to create one
 */
export function cpuShare(share: number): CpuShare | undefined {
  const quota = Math.round(share * PERIOD_US);
  for (const { root, sign, settings } of VERSIONS) {
    if (!existsSync(join(root, sign))) continue;
    removeAbandoned(root);
    const folder = join(root, `${PREFIX}${process.pid}-${quota}`);
    const procs = join(folder, 'cgroup.procs');
    try {
      if (sign === 'cgroup.subtree_control') writeFileSync(join(root, sign), '+cpu');
      mkdirSync(folder, { recursive: true });
      for (const [file, value] of Object.entries(settings(quota))) writeFileSync(join(folder, file), value);
      return { procs, add: (pid) => writeFileSync(procs, String(pid)), remove: () => removeEmpty(folder) };
    } catch {
      // The group could not be created, so the other version is tried.
      if (existsSync(folder)) rmdirSync(folder);
    }
  }
  return undefined;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Removes control groups of earlier runs that were killed, if no process is left in them. */
function removeAbandoned(root: string): void {
  for (const name of readdirSync(root)) {
    const [, pid] = name.startsWith(PREFIX) ? name.slice(PREFIX.length - 1).split('-') : [];
    if (pid === undefined || isAlive(Number(pid))) continue;
    try {
      rmdirSync(join(root, name));
    } catch {
      // A process in the group has not ended yet.
    }
  }
}

/** Retries, because a process that has just ended may still be in the group. */
async function removeEmpty(folder: string): Promise<void> {
  for (let attempt = 1; ; attempt++)
    try {
      return rmdirSync(folder);
    } catch (error) {
      if (attempt === 20) throw error;
      await sleep(50);
    }
}
