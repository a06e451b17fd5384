import { sharedPool } from '../../core/platform/pool.ts';
import type { FindingKind, Found, ItemCheck } from './findings.ts';
import { checksOf, checksOfSchedules, type Places, PROJECTION } from './inspect.ts';
import { MAX_FAILURES } from './schedules.ts';
import { type WalkOptions, walk } from './walk.ts';

/*
 * Checks the whole table, the files and the schedules, and makes the repairs that are safe. A run keeps one page of
 * the table in memory. It can be repeated at any time, because it changes only what is wrong.
 */

export interface CheckOptions extends WalkOptions {
  /** Whether to repair findings. */
  readonly repair: boolean;
  /** Kinds of findings to look for. Default: all. */
  readonly only?: ReadonlySet<FindingKind> | undefined;
  /** Whether to check files, which takes a request to S3 for each. */
  readonly files: boolean;
  /** Checks and repairs that run at the same time. */
  readonly concurrency: number;
  /** Called with each finding and its outcome. */
  readonly onFinding: (found: Found, outcome: Outcome) => void;
  /** Called after each page. */
  readonly onProgress: (progress: CheckProgress) => void;
  /** Called for each check or repair that failed. */
  readonly onFailure: (error: unknown) => void;
}

/** `kept`: the finding cannot be repaired, or repair is off. `changing`: the item changed during each attempt to repair it. */
export type Outcome = 'repaired' | 'kept' | 'changing';

export interface CheckProgress {
  /** Number of items read, of all kinds. */
  items: number;
  /** Number of findings of each kind. */
  readonly found: Partial<Record<FindingKind, number>>;
  repaired: number;
  /** Number of findings that a repair run would repair. */
  repairable: number;
  /** Number of findings that remain. */
  left: number;
  /** Number of failed checks and repairs. */
  failed: number;
  /** Cursor from which another run can continue. Undefined: at the start. */
  cursor: string | undefined;
  /** Whether everything was checked. */
  finished: boolean;
}

/** Maximum number of attempts to repair an item that keeps changing. */
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

  /**
   * Findings of this page and the previous one, to report each once. Neighboring items of one room can cause the same
   * finding.
   */
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

  async function settle(look: ItemCheck): Promise<void> {
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
  const settleAll = (looks: readonly ItemCheck[]) => Promise.all(looks.map((look) => run(() => settle(look))));

  const scan = { TableName: places.schedules.table, ProjectionExpression: PROJECTION };
  for await (const page of walk(places.schedules.dynamodb, scan, { readUnits, from, signal })) {
    [earlier, recent] = [recent, new Set()];
    await settleAll(await checksOf(places, page.items, files));
    progress.items += page.scanned;
    // After a failure, it continues from the page of the failure.
    if (progress.failed === 0) progress.cursor = page.cursor;
    onProgress(progress);
    if (progress.failed >= MAX_FAILURES || (signal.aborted && page.cursor !== undefined)) return progress;
  }
  for await (const looks of checksOfSchedules(places)) {
    await settleAll(looks);
    if (signal.aborted || progress.failed >= MAX_FAILURES) return progress;
  }
  progress.finished = progress.failed === 0;
  return progress;
}
