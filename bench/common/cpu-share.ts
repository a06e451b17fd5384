import { existsSync, mkdirSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/*
 * Gives processes a share of a processor, as Lambda does by memory: a control group of Linux with a quota in periods of 20 ms, which is
 * what Lambda's own quota has been measured to be
 * (https://engineering.opsgenie.com/how-does-proportional-cpu-allocation-work-with-aws-lambda-41cd44da3cac).
 */

const PERIOD_US = 20_000;

/** Of the names of our control groups. The process ID and the quota follow. */
const PREFIX = 'rooms-bench-';

/** Where the control groups are and what their settings are called: version 1, then version 2. */
const VERSIONS = [
  {
    root: '/sys/fs/cgroup/cpu',
    sign: 'cpu.cfs_quota_us',
    settings: (quota: number) => ({
      'cpu.cfs_period_us': `${PERIOD_US}`,
      'cpu.cfs_quota_us': `${quota}`,
      // A busy machine must not take more from the function than the quota does.
      'cpu.shares': '65536',
    }),
  },
  {
    root: '/sys/fs/cgroup',
    sign: 'cgroup.subtree_control',
    settings: (quota: number) => ({ 'cpu.max': `${quota} ${PERIOD_US}`, 'cpu.weight': '10000' }),
  },
] as const;

/** Returns the processors that Lambda gives a function: 1,769 MB are one. @see https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html */
export const shareOf = (memory: number): number => memory / 1_769;

export interface CpuShare {
  /** The file that a process writes its ID to, to be held to the share. */
  readonly procs: string;
  /** Holds a process, and all that it starts from now on, to the share. */
  add(pid: number | undefined): void;
  /** Removes the control group, once its processes have ended. */
  remove(): Promise<void>;
}

/**
 * Makes a control group with a share of a processor.
 *
 * @param share 0.29 is 29 % of one processor
 * @returns undefined if this machine has no control groups, or this user may not make one
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
      // The group was not ours to make: try the other version.
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

/** Removes the groups of benchmarks that were killed. A group with a process in it stays. */
export function removeAbandoned(root: string): void {
  for (const name of readdirSync(root)) {
    const [, pid] = name.startsWith(PREFIX) ? name.slice(PREFIX.length - 1).split('-') : [];
    if (pid === undefined || isAlive(Number(pid))) continue;
    try {
      rmdirSync(join(root, name));
    } catch {
      // A process of the benchmark is about to end.
    }
  }
}

/** A process that has just ended may still be in its group. */
async function removeEmpty(folder: string): Promise<void> {
  for (let attempt = 1; ; attempt++)
    try {
      return rmdirSync(folder);
    } catch (error) {
      if (attempt === 20) throw error;
      await sleep(50);
    }
}
