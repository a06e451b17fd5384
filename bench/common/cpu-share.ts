import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/*
 * Gives processes a share of a processor, as Lambda does by memory: a control group with a quota in periods of 20 ms, which is what
 * Lambda's own quota has been measured to be (https://engineering.opsgenie.com/how-does-proportional-cpu-allocation-work-with-aws-lambda-41cd44da3cac).
 */

const PERIOD_US = 20_000;
const VERSION_1 = '/sys/fs/cgroup/cpu';
const VERSION_2 = '/sys/fs/cgroup';

/** Processors that Lambda gives a function: 1,769 MB are one. @see https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html */
export const shareOf = (memory: number): number => memory / 1_769;

export interface CpuShare {
  /** The file that a process writes its id to, to be held to the share. */
  readonly procs: string;
  remove(): void;
}

/**
 * Makes a control group with a share of a processor.
 *
 * @param share 0.29 is 29 % of one processor
 * @returns undefined where this machine has no control groups that this process may make
 */
export function cpuShare(share: number): CpuShare | undefined {
  const quota = Math.round(share * PERIOD_US);
  const version1 = existsSync(join(VERSION_1, 'cpu.cfs_quota_us'));
  const folder = join(version1 ? VERSION_1 : VERSION_2, `rooms-bench-${process.pid}-${quota}`);
  try {
    mkdirSync(folder, { recursive: true });
    if (version1) {
      writeFileSync(join(folder, 'cpu.cfs_period_us'), String(PERIOD_US));
      writeFileSync(join(folder, 'cpu.cfs_quota_us'), String(quota));
    } else writeFileSync(join(folder, 'cpu.max'), `${quota} ${PERIOD_US}`);
  } catch {
    if (existsSync(folder)) rmdirSync(folder);
    return undefined;
  }
  return { procs: join(folder, 'cgroup.procs'), remove: () => rmdirSync(folder) };
}
