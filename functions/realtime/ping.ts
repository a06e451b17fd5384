import { ping as row } from '../../core/contract/realtime.ts';
import { action } from '../../core/realtime/action.ts';

export const handler = action(row, async ({ now, admitted }) => {
  await admitted;
  return { time: now };
});
