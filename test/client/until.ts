import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until `isTrue`. It fails only after a minute, far longer than anything here takes: time is not what is tested. */
export async function until(what: string, isTrue: () => boolean): Promise<void> {
  const end = Date.now() + 60_000;
  while (!isTrue()) {
    if (Date.now() > end) throw new Error(`It never happened: ${what}`);
    await sleep(5);
  }
}
