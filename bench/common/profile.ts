import * as v from 'valibot';

/*
 * V8's CPU profiles in the format of `node --cpu-prof` and the inspector: a tree of frames, and the active frame of
 * each sample.
 */

const frame = v.object({ functionName: v.string(), url: v.string() });
export const cpuProfile = v.object({
  nodes: v.array(v.object({ id: v.number(), callFrame: frame, children: v.optional(v.array(v.number()), []) })),
  samples: v.array(v.number()),
  /** Microseconds since the previous sample. */
  timeDeltas: v.array(v.number()),
});
export type CpuProfile = v.InferOutput<typeof cpuProfile>;
export type Frame = v.InferOutput<typeof frame>;

/** The origin of a frame's code. Native code has no file in V8, and garbage collection is a separate frame. */
export type Owner = 'ours' | 'packages' | 'Node' | 'native' | 'garbage collection';

/** Undefined for idle time. */
export function ownerOf({ functionName, url }: Frame): Owner | undefined {
  if (functionName === '(idle)') return undefined;
  if (functionName === '(garbage collector)') return 'garbage collection';
  if (url.includes('/node_modules/')) return 'packages';
  if (url.startsWith('node:')) return 'Node';
  return url === '' ? 'native' : 'ours';
}

/** The own time of each frame in microseconds, by frame ID. */
export function selfTimes({ samples, timeDeltas }: CpuProfile): Map<number, number> {
  const times = new Map<number, number>();
  samples.forEach((id, n) => {
    times.set(id, (times.get(id) ?? 0) + (timeDeltas[n] ?? 0));
  });
  return times;
}
