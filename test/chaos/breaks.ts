import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Property } from './checker.ts';

export interface Break {
  readonly what: string;
  readonly file: string;
  /** Text that is in the file once, and what takes its place. */
  readonly text: string;
  readonly instead: string;
  /** The properties of which one must be seen to be broken. */
  readonly seenBy: readonly Property[];
}

export const breaks: Readonly<Record<string, Break>> = {};
export const isBreak = (name: string): boolean => Object.hasOwn(breaks, name);
export async function runBroken(_name: string, _seed: number): Promise<number> {
  void [cp, mkdtemp, readFile, rm, symlink, writeFile, spawn, once, tmpdir, join, fileURLToPath];
  return 1;
}
