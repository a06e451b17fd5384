import { rounded } from './numbers.ts';
import type { Cell } from './table.ts';

/** The figures of the cold starts of one function. Times in milliseconds, ratios to the reference. */
interface Start {
  readonly name: string;
  readonly bytes: number;
  readonly load: number;
  readonly invoke: number;
  readonly invokeRatio: number;
  readonly total: number;
  readonly ratio: number;
  readonly cpu: number;
  readonly cpuRatio: number;
}

/** Returns the row of a table: name, KB, INIT, first request, ratio, total, ratio, CPU, ratio. */
export const startCells = (start: Start): Cell[] => [
  start.name,
  rounded(start.bytes / 1_000),
  start.load.toFixed(1),
  start.invoke.toFixed(1),
  start.invokeRatio.toFixed(2),
  start.total.toFixed(1),
  start.ratio.toFixed(2),
  start.cpu.toFixed(1),
  start.cpuRatio.toFixed(2),
];
