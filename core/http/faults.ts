import * as v from 'valibot';
import type { Fault } from '../contract/errors.ts';

/** At most this many faults are listed: a body of 50 bad ids needs no 50 entries to be understood. */
const MAX_FAULTS = 20;

const article = (type: string): string => (/^[aeio]/.test(type) ? `an ${type}` : `a ${type}`);
const typeOf = (input: unknown): string =>
  input === null ? 'null' : Array.isArray(input) ? 'array' : typeof input === 'object' ? 'object' : typeof input;
const named = (type: string): string => (type === 'null' ? 'null' : article(type));

const TYPES: Readonly<Record<string, string>> = {
  string: 'string',
  number: 'number',
  boolean: 'boolean',
  array: 'array',
  strict_object: 'object',
};

/** What is wrong and what would be right, in words that never repeat what was sent. */
function messageOf(issue: v.BaseIssue<unknown>, fields: string): string {
  if (issue.kind === 'validation') return issue.message;
  if (issue.type === 'strict_object' && issue.expected === 'never') return `is not a field of this request; ${fields}`;
  if (issue.received === 'undefined') return 'is required';
  const wanted = TYPES[issue.type];
  // A schema that names its own choices, such as a picklist, has its own message.
  if (!wanted) return issue.message;
  return `must be ${article(wanted)}, not ${named(typeOf(issue.input))}`;
}

/** One fault for each issue, with the path of the field it is about. */
export function faultsOf(issues: readonly v.BaseIssue<unknown>[], schema: object): Fault[] {
  const names = 'entries' in schema && schema.entries ? Object.keys(schema.entries) : [];
  const fields = names.length > 0 ? `it takes ${names.join(', ')}` : 'it takes none';
  return issues.slice(0, MAX_FAULTS).map((issue) => {
    const path = v.getDotPath(issue);
    const message = messageOf(issue, fields);
    return path === null ? { message: `The request ${message}.` } : { path: path.slice(0, 200), message };
  });
}
