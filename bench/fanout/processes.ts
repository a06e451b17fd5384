import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';

/** Time-out of a process that hangs, in milliseconds. */
const MAX_SILENCE_MS = 120_000;

/**
 * Returns the next message of a process that matches the schema. @throws if the process ends, or sends nothing for too
 * long
 */
export async function message<Schema extends v.GenericSchema>(
  child: ChildProcess,
  schema: Schema,
): Promise<v.InferOutput<Schema>> {
  const { promise, resolve, reject } = Promise.withResolvers<v.InferOutput<Schema>>();
  const onMessage = (data: unknown) => {
    if (v.is(schema, data)) resolve(data);
  };
  const onExit = (code: number | null) => reject(new Error(`${child.spawnargs[1]} ended with ${code}.`));
  const timer = setTimeout(
    () => reject(new Error(`${child.spawnargs[1]} has said nothing for ${MAX_SILENCE_MS / 1_000} s.`)),
    MAX_SILENCE_MS,
  );
  child.on('message', onMessage).once('exit', onExit);
  if (child.exitCode !== null) onExit(child.exitCode);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    child.off('message', onMessage).off('exit', onExit);
  }
}

/** Starts a file of this folder in a separate process. */
export const start = (file: string, ...args: readonly (string | number)[]): ChildProcess =>
  fork(fileURLToPath(new URL(file, import.meta.url)), args.map(String));
