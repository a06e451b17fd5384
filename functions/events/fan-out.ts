import { type Counts, type Slice, workOn } from '../../core/realtime/deliver.ts';

/** Invoked by whoever tells a large room something: does it to a slice of the room's connections. */
export const handler = async (slice: Slice): Promise<Counts> => {
  const started = performance.now();
  const counts = await workOn(slice);
  console.info({
    action: 'fan_out',
    room_id: slice.room_id,
    connections: slice.recipients.length,
    ...counts,
    duration_ms: Math.round(performance.now() - started),
  });
  return counts;
};
