import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Context } from 'aws-lambda';
import { context } from '../fixtures/event.ts';

/** A function behind the local Lambda API: its handler, and the filter patterns of its event source mapping. */
export interface ApiFunction {
  readonly handler: (event: never, context: Context) => Promise<unknown>;
  readonly patterns?: readonly object[];
}

/** The response to an invocation. Only `run` invokes the function. `reset` closes the TCP connection; `hold` never responds. */
export type InvocationResponse = 'run' | 403 | 429 | 500 | 'reset' | 'hold';
const ERRORS = { 403: 'AccessDeniedException', 429: 'TooManyRequestsException', 500: 'ServiceException' } as const;

export interface LambdaApi {
  readonly url: string;
  /** All attempted invocations, in order. */
  readonly tried: { readonly name: string; readonly event: unknown }[];
  /** Sets the responses to the next invocations: one after the other, then the last one forever. */
  respondWith(...responses: readonly [InvocationResponse, ...InvocationResponse[]]): void;
  close(): Promise<void>;
}

/**
 * A local server for Invoke and ListEventSourceMappings of Lambda's API. An error in the handler gets the same response
 * as on Lambda.
 */
export async function startLambdaApi(functions: Readonly<Record<string, ApiFunction>>): Promise<LambdaApi> {
  const responses: InvocationResponse[] = [];
  const tried: LambdaApi['tried'] = [];
  const server = createServer(async (req, res) => {
    const url = new URL(req.url ?? '', 'http://localhost');
    const body = await text(req);
    if (url.pathname.startsWith('/2015-03-31/event-source-mappings')) {
      const { patterns = [] } = functions[url.searchParams.get('FunctionName') ?? ''] ?? {};
      const Filters = patterns.map((pattern) => ({ Pattern: JSON.stringify(pattern) }));
      return void res
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ EventSourceMappings: [{ FilterCriteria: { Filters } }] }));
    }
    const refuse = (status: number, exception: string) =>
      void res.writeHead(status, { 'x-amzn-errortype': exception }).end('{}');
    const [, called = ''] = /\/functions\/([^/]+)\/invocations$/.exec(url.pathname) ?? [];
    const name = decodeURIComponent(called);
    const fn = functions[name];
    if (!fn) return refuse(404, 'ResourceNotFoundException');
    tried.push({ name, event: JSON.parse(body) });
    const response = (responses.length > 1 ? responses.shift() : responses[0]) ?? 'run';
    if (response === 'reset') return void req.socket.destroy();
    if (response === 'hold') return;
    if (response !== 'run') return refuse(response, ERRORS[response]);
    try {
      res.end(JSON.stringify((await fn.handler(JSON.parse(body) as never, context)) ?? null));
    } catch (error) {
      const { name: errorType, message: errorMessage } = error instanceof Error ? error : new Error(String(error));
      res.writeHead(200, { 'x-amz-function-error': 'Unhandled' }).end(JSON.stringify({ errorType, errorMessage }));
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    tried,
    respondWith: (...all) => void responses.splice(0, responses.length, ...all),
    async close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
