import { AsyncLocalStorage } from 'node:async_hooks';
import { dynamodb } from '../../core/store/client.ts';

/*
 * Watches what a piece of code asks of DynamoDB, without changing it: which actions, as IAM knows them, and how many of the
 * requests had to wait for each other.
 */

export interface Trace {
  /** The requests in the order they were sent, each as the action of DynamoDB's API. */
  readonly requests: string[];
  /** As IAM knows them: a transaction counts as its parts, a query of an index is `index Query`. */
  readonly actions: Set<string>;
  /** The longest chain of requests of which each was sent after the answer to the one before. */
  trips: number;
  /** How many of the requests wrote, and were not refused. */
  writes: number;
}

const WRITES: ReadonlySet<string> = new Set(['PutItem', 'UpdateItem', 'DeleteItem', 'TransactWriteItems']);

interface Running extends Trace {
  /** The longest chain that has come to its end already. */
  finished: number;
}

const running = new AsyncLocalStorage<Running>();

const PARTS: Readonly<Record<string, string>> = {
  Put: 'PutItem',
  Update: 'UpdateItem',
  Delete: 'DeleteItem',
  ConditionCheck: 'ConditionCheckItem',
};

function actionsOf(command: string, input: object): string[] {
  if ('TransactItems' in input && Array.isArray(input.TransactItems))
    return input.TransactItems.flatMap((item: object) => Object.keys(item).map((kind) => PARTS[kind] ?? kind));
  return ['IndexName' in input && input.IndexName !== undefined ? `index ${command}` : command];
}

// A hundred requests at once take DynamoDB Local longer than DynamoDB ever takes, on a machine that is busy: the client's time
// limits are not what tests are about, and a request that was given up and sent again would be counted twice.
const sender: object = dynamodb.config.requestHandler;
if (!('updateHttpClientConfig' in sender && typeof sender.updateHttpClientConfig === 'function'))
  throw new Error('The SDK no longer lets its time limits be changed.');
for (const limit of ['connectionTimeout', 'requestTimeout']) sender.updateHttpClientConfig(limit, 60_000);

dynamodb.middlewareStack.add(
  (next, context) => async (args) => {
    const trace = running.getStore();
    if (!trace) return next(args);
    const command = context.commandName?.replace(/Command$/, '') ?? 'unknown';
    trace.requests.push(command);
    for (const action of actionsOf(command, args.input)) trace.actions.add(action);
    // A request that starts while others are under way waited only for those that were answered before it.
    const depth = trace.finished + 1;
    trace.trips = Math.max(trace.trips, depth);
    try {
      const answer = await next(args);
      if (WRITES.has(command)) trace.writes++;
      return answer;
    } finally {
      trace.finished = Math.max(trace.finished, depth);
    }
  },
  { step: 'initialize', priority: 'high', name: 'trace' },
);

/** Does `work` and tells what it asked of DynamoDB. */
export async function traced<T>(work: () => Promise<T>): Promise<{ result: T; trace: Trace }> {
  const trace: Running = { requests: [], actions: new Set(), trips: 0, writes: 0, finished: 0 };
  const result = await running.run(trace, work);
  return { result, trace };
}
