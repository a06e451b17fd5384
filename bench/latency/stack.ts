import { createFunction, type FunctionConfig, type LocalFunction } from '../../local/lambda/lambda.ts';
import type { Log } from '../../local/log.ts';
import { startStack } from '../../local/stack.ts';
import { numberOf } from './message-number.ts';

/*
 * The local stack in a separate process. Reports its address, the ID of each new WebSocket connection, and the start
 * and end of the functions that process a message.
 */

const now = (): number => performance.timeOrigin + performance.now();

/** The step of a message that an event starts. */
function stepOf(event: string): 'write' | 'deliver' | undefined {
  if (event.includes('"routeKey":"message"')) return 'write';
  return event.includes('"Records"') ? 'deliver' : undefined;
}

function observed(config: FunctionConfig, log: Log, maxConcurrency?: number): LocalFunction {
  const fn = createFunction(config, log, maxConcurrency);
  return {
    ...fn,
    async invoke(event) {
      const [number, step] = [numberOf(event), stepOf(event)];
      const begin = now();
      const result = await fn.invoke(event);
      if (number !== undefined && step) process.send?.({ number, step, begin, end: now() });
      return result;
    },
  };
}

const stack = await startStack({
  port: 0,
  createFunction: observed,
  log(_, text) {
    const [, connection_id] = /^(\S+) connected$/.exec(text) ?? [];
    if (connection_id) process.send?.({ connection_id });
  },
});
process.send?.({ http: stack.http, ws: stack.ws, issuer: stack.issuer, dynamodb: stack.dynamodb });
process.once('disconnect', () => void stack.close().finally(() => process.exit()));
