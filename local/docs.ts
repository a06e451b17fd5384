import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { allRoutes } from '../core/contract/index.ts';
import { openapi } from '../tools/generate/openapi.ts';

export type DocsHandler = (req: IncomingMessage, res: ServerResponse) => void;

/*
 * Serves the API reference of the local stack: an OpenAPI document that is generated from the contract, and a page of the package
 * swagger-ui-dist. Serves only a fixed list of paths.
 */

const swaggerUi = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));

const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Rooms: API reference</title>
    <link rel="icon" type="image/png" sizes="32x32" href="/docs/favicon-32x32.png">
    <link rel="stylesheet" href="/docs/swagger-ui.css">
  </head>
  <body>
    <div id="reference"></div>
    <script src="/docs/swagger-ui-bundle.js"></script>
    <script src="/docs/start.js"></script>
  </body>
</html>
`;

const START = `SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#reference',
  deepLinking: true,
  displayRequestDuration: true,
  persistAuthorization: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
`;

/** Script that makes the page send its requests to the stack that serves it, not to the default address in the document. */
const localDocument = (): string =>
  JSON.stringify({ ...openapi(allRoutes), servers: [{ url: '/', description: 'This local stack' }] });

type Content = () => string | Promise<Buffer>;

const serve =
  (contentType: string, content: Content): DocsHandler =>
  async (_req, res) => {
    try {
      const bytes = Buffer.from(await content());
      res.writeHead(200, {
        'content-type': contentType,
        'content-length': bytes.length,
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
      });
      // Node sends no body in the response to a HEAD request.
      res.end(bytes);
    } catch (error) {
      console.error('The API reference cannot be served:', error);
      res.writeHead(500, { 'content-type': 'text/plain; charset=utf-8' });
      res.end('The API reference cannot be served. Run "npm ci", then start the stack again.\n');
    }
  };

const file = (contentType: string, name: string): DocsHandler =>
  serve(contentType, () => readFile(join(swaggerUi, name)));

/** Returns the handlers of `/openapi.json` and `/docs`, by path without the query. */
export function docsRoutes(): Readonly<Record<string, DocsHandler>> {
  const page = serve('text/html; charset=utf-8', () => PAGE);
  return {
    '/openapi.json': serve('application/json', localDocument),
    '/docs': page,
    '/docs/': page,
    '/docs/start.js': serve('text/javascript; charset=utf-8', () => START),
    '/docs/swagger-ui-bundle.js': file('text/javascript; charset=utf-8', 'swagger-ui-bundle.js'),
    '/docs/swagger-ui.css': file('text/css; charset=utf-8', 'swagger-ui.css'),
    '/docs/favicon-32x32.png': file('image/png', 'favicon-32x32.png'),
  };
}
