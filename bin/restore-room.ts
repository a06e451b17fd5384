import { parseArgs } from 'node:util';
import { isIsoTime, isRealTime, toUtc } from '../core/rules/time.ts';
import { UsageError } from '../tools/cli/usage-error.ts';
import { runCommand } from './operations/command.ts';
import { placesOf } from './operations/places.ts';
import { type Counts, restoreRoom, type Step } from './operations/restore-room.ts';

const HELP = `Usage: npm run restore-room -- --env <name> --from-table <name> --room <id> [--apply] [options]

Brings one room back from a restored table: its participants, chat and files, while everything else goes on. It adds what is missing.
What is there and differs from the backup is kept, and reported. Without --apply, it changes nothing. It may be run again.

  --env          the environment, such as prod
  --from-table   a table that was restored from a backup
  --room         the ID of the room
  --apply        write
  --at           leave out messages, files and participants that are newer than this time, such as 2026-03-01T10:00Z
  --overwrite    let the name, description, times and admins of the room, and the profiles of participants, replace newer ones
  --from-bucket  a bucket that has the files which the bucket in use has lost
  --json         print a line of JSON for each step, and one for the summary
  --help         print this

Exit codes: 0 the room is as in the backup, or would be with --apply; 1 something differs and was kept, changed meanwhile, or a file is
lost; 2 the command was called wrongly.`;

const WORDS: Readonly<Record<Step['step'], readonly [done: string, planned: string]>> = {
  add: ['added', 'would add'],
  overwrite: ['overwrote', 'would overwrite'],
  undelete: ['brought back', 'would bring back'],
  copy: ['copied', 'would copy'],
  keep: ['kept, as it is newer', 'would keep, as it is newer'],
  lost: ['lost', 'lost'],
  changed: ['left alone, as it changed meanwhile', 'left alone'],
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
  if (env === undefined) throw new UsageError('Say which environment: --env <name>.');
  if (from === undefined) throw new UsageError('Say which restored table: --from-table <name>.');
  if (room_id === undefined) throw new UsageError('Say which room: --room <id>.');
  const at = timeOption(values.at);
  const { schedules, objects } = await placesOf(env);
  const { dynamodb, table } = schedules;
  if (from === table) throw new UsageError(`${from} is the table in use: name the restored one.`);
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
    if (counts.keep > 0) console.log('To replace what differs, add --overwrite.');
  }
  return counts.keep + counts.lost + counts.changed > 0 ? 1 : 0;
}

await runCommand('restore-room', main);
