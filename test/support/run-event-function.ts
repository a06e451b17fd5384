import { type EventFunctionName, eventFunctions } from '../../lib/event-functions.ts';
import { context } from '../fixtures/event.ts';
import { type Trace, traced } from '../fixtures/trace.ts';
import { expectWithin } from './access.ts';
import { type LogLine, logged } from './logs.ts';

/**
 * Runs a function that is invoked asynchronously. Returns its result, log and requests to AWS, and checks its
 * permissions.
 */
export async function runEventFunction<T>(
  name: EventFunctionName,
  work: (invocation: typeof context) => Promise<T>,
): Promise<{ result: T; lines: readonly LogLine[]; trace: Trace }> {
  const {
    result: { result, trace },
    lines,
  } = await logged(() => traced(() => work(context)));
  expectWithin(name, eventFunctions[name].access, trace);
  return { result, lines, trace };
}
