import { parseArgs } from 'node:util';
import { isIsoTime, isRealTime, toUtc } from '../core/rules/time.ts';
import { UsageError } from '../tools/cli/usage-error.ts';
import { runCommand } from './operations/command.ts';
import { placesOf } from './operations/places.ts';
import { type Counts, restoreRoom, type Step } from './operations/restore-room.ts';

const HELP = `Usage: npm run restore-room -- --env <name> --from-table <name> --room <id> [--apply] [options]

Restores one room from a restored table while the service runs: its participants, chat and files. Adds missing items. Items that
differ from the backup are kept and reported. Without --apply, changes nothing. You can repeat it.

  --env          the environment, such as prod
  --from-table   a table that was restored from a backup
  --room         the ID of the room
  --apply        write
  --at           skip messages, files and participants that are newer than this time, such as 2026-03-01T10:00Z
  --overwrite    replace newer fields and admins of the room, and newer profiles of participants
  --from-bucket  a bucket with files that are missing from the bucket in use
  --json         print a line of JSON for each step, and one for the summary
  --help         print this

Exit codes: 0 the room is as in the backup, or would be with --apply; 1 items differ and were kept, items changed during the run, or
a file is lost; 2 usage error.`;

const WORDS: Readonly<Record<Step['step'], readonly [done: string, planned: string]>> = {
  add: ['added', 'would add'],
  overwrite: ['overwrote', 'would overwrite'],
  undelete: ['restored', 'would restore'],
  copy: ['copied', 'would copy'],
  keep: ['kept because it is newer', 'would keep because it is newer'],
  lost: ['lost', 'lost'],
  changed: ['not changed, because it changed during the run', 'not changed'],
};

const lineOf = ({ step, what, id, fields }: Step, apply: boolean): string =>
  `${WORDS[step][apply ? 0 : 1]}: ${what} ${id}${fields ? ` (${fields.join(', ')})` : ''}`;

function timeOption(time: string | undefined): string | undefined {
  if (time === undefined) return undefined;
  if (!isIsoTime(time) || !isRealTime(time))
    throw new UsageError(`--at must be a time such as 2026-03-01T10:00Z, not ${JSON.stringify(time)}.`);
  return toUtc(time);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      env: { type: 'string' },
      'from-table': { type: 'string' },
      room: { type: 'string' },
      apply: { type: 'boolean', default: false },
      at: { type: 'string' },
      overwrite: { type: 'boolean', default: false },
      'from-bucket': { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const { env, 'from-table': from, room: room_id, apply, overwrite, 'from-bucket': fromBucket, json } = values;
  if (env === undefined) throw new UsageError('Specify the environment: --env <name>.');
  if (from === undefined) throw new UsageError('Specify the restored table: --from-table <name>.');
  if (room_id === undefined) throw new UsageError('Specify the room: --room <id>.');
  const at = timeOption(values.at);
  const { schedules, objects } = await placesOf(env);
  const { dynamodb, table } = schedules;
  if (from === table) throw new UsageError(`${from} is the table in use. Specify the restored table.`);
  const counts: Counts = await restoreRoom({
    dynamodb,
    objects,
    table,
    from,
    fromBucket,
    room_id,
    at,
    apply,
    overwrite,
    onStep: (step) => console.log(json ? JSON.stringify({ ...step, apply }) : lineOf(step, apply)),
  });
  if (json) console.log(JSON.stringify({ summary: counts }));
  else {
    const said = Object.entries(counts).filter(([, count]) => count > 0);
    console.log(said.map(([step, count]) => `${step}: ${count}`).join(', '));
    if (!apply) console.log('Nothing was written: add --apply.');
    if (counts.keep > 0) console.log('To replace items that differ, add --overwrite.');
  }
  return counts.keep + counts.lost + counts.changed > 0 ? 1 : 0;
}

await runCommand('restore-room', main);
