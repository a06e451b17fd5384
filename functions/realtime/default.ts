import { invalid } from '../../core/contract/errors.ts';
import { actions, unknownAction as row } from '../../core/contract/realtime.ts';
import { action } from '../../core/realtime/action.ts';

export const handler = action(row, async ({ admitted }) => {
  await admitted;
  throw invalid({ path: 'action', message: `must be one of ${Object.keys(actions).join(', ')}` });
});
