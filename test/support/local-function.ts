import type { LocalFunction } from '../../local/lambda/lambda.ts';
import { messageOf } from '../../tools/cli/error-text.ts';

/** A function of the local stack that calls `work` in this process. If `work` throws, the function fails. */
export const localFunction = (name: string, work: (event: unknown) => unknown, arn = name): LocalFunction => ({
  config: {
    name,
    arn,
    directory: '/',
    handler: 'index.handler',
    variables: {},
    timeoutSeconds: 3,
    memoryMegabytes: 128,
    logFormat: 'JSON',
    logGroup: `/${name}`,
  },
  async invoke(event) {
    try {
      return { ok: true, payload: JSON.stringify((await work(JSON.parse(event))) ?? null) };
    } catch (error) {
      const errorMessage = messageOf(error);
      return { ok: false, payload: JSON.stringify({ errorType: 'Error', errorMessage }) };
    }
  },
  close: async () => {},
});
