import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** A function as the API of Lambda knows it: what it does with an event, and the filters of its event source mapping. */
export interface ApiFunction {
  readonly handler: (event: never) => Promise<unknown>;
  readonly patterns?: readonly object[];
}

/** Invoke and ListEventSourceMappings of Lambda's API: a function that throws is answered as Lambda answers it. */
export async function startLambdaApi(functions: Readonly<Record<string, ApiFunction>>) {
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
    const [, name = ''] = /\/functions\/([^/]+)\/invocations$/.exec(url.pathname) ?? [];
    const fn = functions[name];
    if (!fn) return void res.writeHead(404, { 'x-amzn-errortype': 'ResourceNotFoundException' }).end('{}');
    try {
      res.end(JSON.stringify((await fn.handler(JSON.parse(body) as never)) ?? null));
    } catch (error) {
      const { name: errorType, message: errorMessage } = error instanceof Error ? error : new Error(String(error));
      res.writeHead(200, { 'x-amz-function-error': 'Unhandled' }).end(JSON.stringify({ errorType, errorMessage }));
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
