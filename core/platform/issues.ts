import * as v from 'valibot';
import type { Issue } from '../contract/errors.ts';

/** The maximum number of issues in a response, even if a body has 50 invalid IDs. */
const MAX_ISSUES = 20;

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

/** Returns what is wrong and what is expected, without repeating any input. */
function messageOf(issue: v.BaseIssue<unknown>, fields: string): string {
  if (issue.kind === 'validation') return issue.message;
  if (issue.type === 'strict_object' && issue.expected === 'never') return `is not a field of this request; ${fields}`;
  if (issue.received === 'undefined') return 'is required';
  const wanted = TYPES[issue.type];
  // Schemas with a list of choices, such as a picklist, have their own message.
  if (!wanted) return issue.message;
  return `must be ${article(wanted)}, not ${named(typeOf(issue.input))}`;
}

/** Returns the issues that valibot found, each with the path of its field. */
export function issuesOf(found: readonly v.BaseIssue<unknown>[], schema: object): Issue[] {
  const names = 'entries' in schema && schema.entries ? Object.keys(schema.entries) : [];
  const fields = names.length > 0 ? `it takes ${names.join(', ')}` : 'it takes none';
  return found.slice(0, MAX_ISSUES).map((issue) => {
    const path = v.getDotPath(issue);
    const message = messageOf(issue, fields);
    return path === null ? { message: `The request ${message}.` } : { path: path.slice(0, 200), message };
  });
}
