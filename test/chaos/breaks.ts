import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Property } from './checker.ts';

/* Deliberate defects of the product. The checker must detect each of them. */

/** A text that occurs exactly once in a file, and its replacement. */
export interface Edit {
  readonly file: string;
  readonly text: string;
  readonly instead: string;
}

export interface Break extends Edit {
  /** What the defective product does. */
  readonly what: string;
  /** A second edit, if two parts of the product each prevent the defect. */
  readonly also?: Edit;
  /** The checker must report at least one of these properties as violated. */
  readonly seenBy: readonly Property[];
}

export const breaks: Readonly<Record<string, Break>> = {
  'no-dedupe': {
    what: 'a message that is sent again is stored again',
    file: 'core/store/messages.ts',
    text: "ConditionExpression: 'attribute_not_exists(PK) OR expires_at <= :now',",
    instead: "ConditionExpression: 'attribute_not_exists(PK) OR expires_at > :now OR expires_at <= :now',",
    seenBy: ['stored'],
  },
  'out-of-order': {
    what: 'the messages of a batch are delivered newest first',
    file: 'functions/events/deliver-messages.ts',
    text: 'await broadcast(room_id, events',
    instead: 'await broadcast(room_id, [...events].reverse()',
    seenBy: ['order', 'complete'],
  },
  'failure-as-success': {
    what: 'a batch of the stream that fails is reported as done',
    file: 'core/realtime/stream.ts',
    text: 'return { batchItemFailures };',
    instead: 'return { batchItemFailures: [] };',
    seenBy: ['complete', 'converges'],
  },
  'forgotten-open': {
    what: 'a connection that could not be closed is still deleted from the table',
    file: 'core/realtime/deliver.ts',
    text: 'if (!(await close(recipient, deadline))) return false;',
    instead: 'await close(recipient, deadline);',
    seenBy: ['known', 'complete'],
  },
  'removed-stay': {
    what: 'the connections of a removed user stay open, and in the table',
    file: 'core/realtime/changes.ts',
    text: '...(connections.length > 0',
    instead: '...(connections.length > 1_000',
    also: {
      file: 'core/store/connections.ts',
      text: 'return removed_at !== undefined && joined_at <= removed_at;',
      instead: "return removed_at !== undefined && joined_at === '';",
    },
    seenBy: ['removal', 'converges'],
  },
  overwritable: {
    what: 'the URL of an upload can be used again, for other bytes',
    file: 'core/files/transfer.ts',
    text: "const headers = { 'content-type': request.content_type, 'if-none-match': '*' };",
    instead: "const headers = { 'content-type': request.content_type };",
    seenBy: ['files'],
  },
  'edit-not-announced': {
    what: 'an edit is stored, but not announced',
    file: 'core/realtime/message-events.ts',
    text: "return isChange ? { kind: 'changed', message } : undefined;",
    instead: "return isChange && message.deleted_at !== undefined ? { kind: 'changed', message } : undefined;",
    seenBy: ['changes'],
  },
  'deletions-not-in-feed': {
    what: 'the feed of changes leaves out deletions',
    file: 'core/store/message-changes.ts',
    text: 'return message?.change === numberOf(pointer) ? toMessage(message) : [];',
    instead: 'return message?.change === numberOf(pointer) && !message.deleted_at ? toMessage(message) : [];',
    seenBy: ['changes'],
  },
  'no-changes-after-outage': {
    what: 'the SDK does not read the edits and deletions of an outage',
    file: 'client/src/room-work.ts',
    text: 'const hasAllChanges = last_change === undefined || last_change <= inbox.lastChange;',
    instead: 'const hasAllChanges = true;',
    seenBy: ['changes'],
  },
  'deleted-editable': {
    what: 'a message that was deleted can be edited',
    file: 'core/store/message-changes.ts',
    text: "if (message.deleted_at !== undefined) throw new RoomsError('message_deleted');",
    instead: '',
    also: {
      file: 'core/store/message-changes.ts',
      text: "'attribute_exists(PK) AND attribute_not_exists(#deleted_at) AND ' +",
      instead: "'attribute_exists(PK) AND (attribute_not_exists(#deleted_at) OR attribute_exists(#deleted_at)) AND ' +",
    },
    seenBy: ['deleted'],
  },
  'gone-stay': {
    what: 'a connection that API Gateway no longer has stays in the table',
    file: 'core/realtime/deliver.ts',
    text: 'counts.gone++;\n        await drop(room_id, recipient, deadline);',
    instead: 'counts.gone++;',
    seenBy: ['converges'],
  },
  'end-not-announced': {
    what: 'an end by an admin is not announced, and connections stay open',
    file: 'core/realtime/changes.ts',
    text: "newEnd && data.status === 'ended'",
    instead: "newEnd && data.status === 'booked'",
    seenBy: ['announced', 'converges'],
  },
};

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Folders that a run does not need, or creates itself. */
const LEFT_OUT = new Set(['node_modules', '.git', '.build', '.local', 'cdk.out']);

export const isBreak = (name: string): boolean => Object.hasOwn(breaks, name);

export const editsOf = (chosen: Break): readonly Edit[] => (chosen.also ? [chosen, chosen.also] : [chosen]);

/** Returns the text of a file with a defect. @throws if the replaced text does not occur exactly once */
export function broken(source: string, { file, text, instead }: Edit): string {
  const parts = source.split(text);
  if (parts.length !== 2)
    throw new Error(`${file} has ${parts.length - 1} times what this break replaces: ${JSON.stringify(text)}`);
  return parts.join(instead);
}

/**
 * Runs rounds on a copy of the repository with a defect.
 *
 * @returns the exit code, which is 0 if the checker detects the defect
 */
export async function runBroken(name: string, args: readonly string[]): Promise<number> {
  const chosen = breaks[name];
  if (!chosen) throw new Error(`There is no break ${name}.`);
  const copy = await mkdtemp(join(tmpdir(), 'rooms-broken-'));
  try {
    await cp(ROOT, copy, {
      recursive: true,
      filter: (path) =>
        !relative(ROOT, path)
          .split(sep)
          .some((part) => LEFT_OUT.has(part)),
    });
    await symlink(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
    for (const edit of editsOf(chosen)) {
      const file = join(copy, edit.file);
      await writeFile(file, broken(await readFile(file, 'utf8'), edit));
    }
    const child = spawn(process.execPath, [join(copy, 'test/chaos/run.ts'), ...args], {
      cwd: copy,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      process.stdout.write(text.replace(/^\d+ passed, \d+ failed, \d+ skipped\n/m, ''));
    });
    await once(child, 'close');
    const seen = chosen.seenBy.filter((property) => output.includes(`✗ ${property}:`));
    console.log(
      seen.length > 0
        ? `${name}: seen by ${seen.join(', ')}`
        : `${name}: NOT seen; it should have been by ${chosen.seenBy.join(' or ')}`,
    );
    console.log(`${seen.length > 0 ? 1 : 0} passed, ${seen.length > 0 ? 0 : 1} failed, 0 skipped`);
    return seen.length > 0 ? 0 : 1;
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}
