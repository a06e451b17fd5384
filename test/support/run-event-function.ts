import { type EventFunctionName, eventFunctions } from '../../lib/event-functions.ts';
import { context } from './event.ts';
import { type LogLine, logged } from './logs.ts';
import { expectWithin, type Trace, traced } from './trace.ts';

/** Runs a function that no caller waits for: gives what it answers, logs and asks of AWS, and holds it to its access. */
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
