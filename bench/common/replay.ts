import type { Action, Input } from '../../core/aws/dynamodb.ts';
import { dynamodb } from '../../core/store/client.ts';

/*
 * Records what a piece of code asks of DynamoDB, and asks it again without that code: the same requests through the same client,
 * those at the same time that were sent at the same time. Load it only when the environment says where the table is.
 */

interface Recorded {
  readonly action: Action;
  readonly input: object;
  /** How many requests had to be answered, one after the other, before this one was sent. */
  readonly depth: number;
}

let recording: { requests: Recorded[]; finished: number } | undefined;

dynamodb.use(async (action, input, next) => {
  const current = recording;
  if (!current) return next(input);
  const depth = current.finished;
  current.requests.push({ action, input, depth });
  try {
    return await next(input);
  } finally {
    current.finished = Math.max(current.finished, depth + 1);
  }
});

/** What some work asks of DynamoDB. */
export async function recorded(work: () => Promise<unknown>): Promise<readonly Recorded[]> {
  const mine = { requests: [], finished: 0 };
  recording = mine;
  try {
    await work();
  } finally {
    recording = undefined;
  }
  return mine.requests;
}

/** The input of an action is what was recorded of the same action. */
const send = ({ action, input }: Recorded): Promise<unknown> => dynamodb.send(action, input as Input<Action>);

/** Asks DynamoDB the same again, and waits as long as the work that was recorded would have to. */
export async function replay(requests: readonly Recorded[]): Promise<void> {
  for (let depth = 0; requests.some((request) => request.depth === depth); depth++)
    await Promise.all(requests.filter((request) => request.depth === depth).map(send));
}

/** The same requests about another room, user or key: for a write that works only once. */
export const renamed = (requests: readonly Recorded[], from: string, to: string): readonly Recorded[] =>
  requests.map((request) => ({ ...request, input: replaced(request.input, from, to) as object }));

function replaced(value: unknown, from: string, to: string): unknown {
  if (typeof value === 'string') return value.replaceAll(from, to);
  if (value instanceof Set) return new Set([...value].map((each) => replaced(each, from, to)));
  if (Array.isArray(value)) return value.map((each) => replaced(each, from, to));
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, replaced(each, from, to)]));
  return value;
}
