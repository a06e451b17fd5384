import { sharedPool } from '../../core/realtime/pool.ts';
import type { FindingKind, Found, Look } from './findings.ts';
import { looksAt, looksAtSchedules, type Places, PROJECTION } from './inspect.ts';
import { MAX_FAILURES } from './schedules.ts';
import { type WalkOptions, walk } from './walk.ts';

/*
 * Checks the whole table, the files and the schedules, and repairs what can be repaired safely. A run keeps one page of the table in
 * memory. It may be repeated at any time: what is right is left alone.
 */

export interface CheckOptions extends WalkOptions {
  /** Whether to repair what is found. */
  readonly repair: boolean;
  /** Kinds to look for. Default: all. */
  readonly only?: ReadonlySet<FindingKind> | undefined;
  /** Whether to look at files, which takes a request to S3 for each. */
  readonly files: boolean;
  /** Looks and repairs that are under way at the same time. */
  readonly concurrency: number;
  /** Called with each finding, once what became of it is known. */
  readonly onFinding: (found: Found, outcome: Outcome) => void;
  /** Called after each page. */
  readonly onProgress: (progress: CheckProgress) => void;
  /** Called with what could not be looked at or repaired. */
  readonly onFailure: (error: unknown) => void;
}

/** `kept`: it was not to be repaired, or cannot be. `changing`: it changed with each attempt to repair it. */
export type Outcome = 'repaired' | 'kept' | 'changing';

export interface CheckProgress {
  /** Items read, of all kinds. */
  items: number;
  /** Findings by kind. */
  readonly found: Partial<Record<FindingKind, number>>;
  repaired: number;
  /** Findings that a repair run would take care of. */
  repairable: number;
  /** Findings that are left. */
  left: number;
  /** Looks and repairs that failed. */
  failed: number;
  /** Where another run can go on. Undefined: at the start. */
  cursor: string | undefined;
  /** Whether everything was looked at. */
  finished: boolean;
}

/** How often something that changes at that very moment is looked at. */
const ATTEMPTS = 5;

export async function check(places: Places, options: CheckOptions): Promise<CheckProgress> {
  const { repair, only, files, concurrency, from, readUnits, signal, onFinding, onProgress, onFailure } = options;
  const progress: CheckProgress = {
    items: 0,
    found: {},
    repaired: 0,
    repairable: 0,
    left: 0,
    failed: 0,
    cursor: from,
    finished: false,
  };
  const run = sharedPool(concurrency)(concurrency);
  const isWanted = ({ kind }: Found): boolean => only === undefined || only.has(kind);

  /** What was found in this page and in the one before: items of one room are next to each other, and may say the same. */
  let [earlier, recent] = [new Set<string>(), new Set<string>()];

  function report(found: Found, outcome: Outcome): void {
    const name = JSON.stringify([found.kind, found.subject]);
    if (earlier.has(name) || recent.has(name)) return;
    recent.add(name);
    progress.found[found.kind] = (progress.found[found.kind] ?? 0) + 1;
    if (outcome === 'repaired') progress.repaired++;
    else progress.left++;
    if (outcome === 'kept' && found.apply) progress.repairable++;
    onFinding(found, outcome);
  }

  async function settle(look: Look): Promise<void> {
    if (progress.failed >= MAX_FAILURES) return;
    try {
      let found = await look();
      for (let attempt = 1; found && isWanted(found); attempt++) {
        if (!repair || !found.apply) return report(found, 'kept');
        if (await found.apply()) return report(found, 'repaired');
        if (attempt === ATTEMPTS) return report(found, 'changing');
        found = await look();
      }
    } catch (error) {
      progress.failed++;
      onFailure(error);
    }
  }
  const settleAll = (looks: readonly Look[]) => Promise.all(looks.map((look) => run(() => settle(look))));

  const scan = { TableName: places.schedules.table, ProjectionExpression: PROJECTION };
  for await (const page of walk(places.schedules.dynamodb, scan, { readUnits, from, signal })) {
    [earlier, recent] = [recent, new Set()];
    await settleAll(await looksAt(places, page.items, files));
    progress.items += page.scanned;
    // After a failure it goes on from the page in which that was.
    if (progress.failed === 0) progress.cursor = page.cursor;
    onProgress(progress);
    if (progress.failed >= MAX_FAILURES || (signal.aborted && page.cursor !== undefined)) return progress;
  }
  for await (const looks of looksAtSchedules(places)) {
    await settleAll(looks);
    if (signal.aborted || progress.failed >= MAX_FAILURES) return progress;
  }
  progress.finished = progress.failed === 0;
  return progress;
}
