import { parseArgs } from 'node:util';
import { UsageError } from '../tools/cli/usage-error.ts';
import { interrupted, numberOption, runCommand } from './operations/command.ts';
import { disconnectAll } from './operations/disconnect-all.ts';
import { placesOf } from './operations/places.ts';

const HELP = `Usage: npm run disconnect-all -- --env <name> --table <name> [--apply] [options]

Closes every WebSocket connection in a table. Clients then reconnect, join and read the chat again. Run it for the old table after
the stacks switched to a restored table, which lacks connections that joined after the backup. Without --apply, only counts.

  --env          the environment, such as prod
  --table        the table
  --apply        close them
  --read-units   maximum read units per second (default: 1000, which is 8 MB)
  --help         print this

Exit codes: 0 all are closed; 1 some could not be closed, or it was interrupted; 2 usage error.`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      env: { type: 'string' },
      table: { type: 'string' },
      apply: { type: 'boolean', default: false },
      'read-units': { type: 'string', default: '1000' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const { env, table, apply } = values;
  if (env === undefined) throw new UsageError('Specify the environment: --env <name>.');
  if (table === undefined) throw new UsageError('Specify the table: --table <name>.');
  const readUnits = numberOption('read-units', values['read-units']);
  const { schedules, connections } = await placesOf(env);
  const { found, closed, finished } = await disconnectAll({ dynamodb: schedules.dynamodb, connections }, table, {
    apply,
    readUnits,
    signal: interrupted(),
  });
  console.log(`${found} connections${apply ? `, ${closed} closed` : ': add --apply to close them'}.`);
  return finished && (!apply || closed === found) ? 0 : 1;
}

await runCommand('disconnect-all', main);
