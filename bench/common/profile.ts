import * as v from 'valibot';

/*
 * V8's CPU profiles, as `node --cpu-prof` writes them and the inspector gives them: a tree of frames, and which of them was at
 * work in each sample.
 */

const frame = v.object({ functionName: v.string(), url: v.string() });
export const cpuProfile = v.object({
  nodes: v.array(v.object({ id: v.number(), callFrame: frame, children: v.optional(v.array(v.number()), []) })),
  samples: v.array(v.number()),
  /** Microseconds before each sample. */
  timeDeltas: v.array(v.number()),
});
export type CpuProfile = v.InferOutput<typeof cpuProfile>;
export type Frame = v.InferOutput<typeof frame>;

/** Whose code a frame is of. V8 has no file for what is native; garbage collection is a frame of its own. */
export type Owner = 'ours' | 'packages' | 'Node' | 'native' | 'garbage collection';

/** Undefined where nothing was at work. */
export function ownerOf({ functionName, url }: Frame): Owner | undefined {
  if (functionName === '(idle)') return undefined;
  if (functionName === '(garbage collector)') return 'garbage collection';
  if (url.includes('/node_modules/')) return 'packages';
  if (url.startsWith('node:')) return 'Node';
  return url === '' ? 'native' : 'ours';
}

/** Microseconds in which each frame, by its id, was at work itself. */
export function selfTimes({ samples, timeDeltas }: CpuProfile): Map<number, number> {
  const times = new Map<number, number>();
  samples.forEach((id, n) => {
    times.set(id, (times.get(id) ?? 0) + (timeDeltas[n] ?? 0));
  });
  return times;
}
