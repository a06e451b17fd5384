import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/*
 * The share of a processor that a function has, on this machine: a control group of Linux with a CPU quota.
 */

/** Lambda gives a function a whole processor with 1,769 MB. Those that deliver have 1,024 MB. */
export const LAMBDA_PROCESSORS = 0.58;
const PERIOD_MICROSECONDS = 100_000;

export interface CpuQuota {
  /** Puts a process, and all that it starts from now on, under the quota. */
  add(pid: number | undefined): void;
  /** Removes the control group. Its processes must have ended. */
  close(): void;
}

/** Where the control groups are and what their quota is called: version 1, then version 2. */
const VERSIONS = [
  {
    root: '/sys/fs/cgroup/cpu',
    sign: 'cpu.cfs_quota_us',
    settings: (quota: number) => ({
      'cpu.cfs_period_us': `${PERIOD_MICROSECONDS}`,
      'cpu.cfs_quota_us': `${quota}`,
      // A busy machine must not take more from the function than the quota does.
      'cpu.shares': '65536',
    }),
  },
  {
    root: '/sys/fs/cgroup',
    sign: 'cgroup.subtree_control',
    settings: (quota: number) => ({ 'cpu.max': `${quota} ${PERIOD_MICROSECONDS}`, 'cpu.weight': '10000' }),
  },
] as const;

/**
 * Makes a control group with a quota, in processors. Undefined where this machine has no control groups, or this user may not make
 * one: the benchmark then runs without a quota, and says so.
 */
export function cpuQuota(processors: number): CpuQuota | undefined {
  for (const { root, sign, settings } of VERSIONS) {
    const group = join(root, `rooms-bench-${process.pid}`);
    try {
      if (!existsSync(join(root, sign))) continue;
      if (sign === 'cgroup.subtree_control') writeFileSync(join(root, sign), '+cpu');
      mkdirSync(group);
      for (const [file, value] of Object.entries(settings(Math.round(processors * PERIOD_MICROSECONDS))))
        writeFileSync(join(group, file), value);
      return {
        add: (pid) => writeFileSync(join(group, 'cgroup.procs'), String(pid)),
        close: () => rmdirSync(group),
      };
    } catch {
      // Not ours to make: try the other version.
    }
  }
  return undefined;
}
