import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/*
 * Builds the web client from `web/`, and serves it.
 */

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** The URLs of the stack for the page, without trailing slashes. */
export interface Places {
  readonly http: string;
  readonly ws: string;
  readonly issuer: string;
  /** The page's client ID at an external identity provider; undefined for the local issuer. */
  readonly clientId?: string | undefined;
  /** Origins from which the page gets tokens. */
  readonly tokenOrigins: readonly string[];
  /** The origin of presigned URLs. */
  readonly s3: string;
}

/** The files of the web client, by path. */
export type WebClient = ReadonlyMap<string, { readonly contentType: string; readonly body: string | Uint8Array }>;

const folder = (path: string): string => fileURLToPath(new URL(`../web/${path}`, import.meta.url));

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  map: 'application/json',
};

/**
 * Bundles the web client.
 *
 * @throws if it does not compile, with the errors in the message
 */
export async function bundleWebClient(): Promise<WebClient> {
  const [{ outputFiles }, page, icon] = await Promise.all([
    build({
      entryPoints: { main: folder('src/main.tsx'), style: folder('styles/main.css') },
      entryNames: '[ext]/main',
      outdir: folder('out'),
      bundle: true,
      write: false,
      format: 'esm',
      // Chunks that the page loads on demand, such as the OIDC client.
      splitting: true,
      chunkNames: 'js/[name]-[hash]',
      target: ['chrome123', 'firefox125', 'safari17.5'],
      jsx: 'automatic',
      jsxImportSource: 'preact',
      // The hooks of the SDK run in Preact: see docs/decisions/0060-web-hooks-on-preact.md.
      alias: { react: 'preact/compat' },
      minify: true,
      sourcemap: true,
      logLevel: 'silent',
    }),
    readFile(folder('index.html')),
    readFile(folder('icon.svg')),
  ]);
  const built = outputFiles.map(({ path, contents }) => {
    const name = basename(path);
    const contentType = CONTENT_TYPES[name.split('.').at(-1) ?? ''] ?? 'application/octet-stream';
    return [`/web/${name}`, { contentType, body: contents }] as const;
  });
  return new Map([
    ['/', { contentType: 'text/html; charset=utf-8', body: page }],
    ['/web/icon.svg', { contentType: 'image/svg+xml', body: icon }],
    ...built,
  ]);
}

/**
 * The content security policy of the page: run its own script, connect to the parts of this stack, and show pictures
 * from the bucket or this machine. No text can be inserted as markup (Trusted Types).
 */
function contentSecurityPolicy({ http, ws, tokenOrigins, s3 }: Places): string {
  const directives: Readonly<Record<string, readonly string[]>> = {
    'default-src': ["'none'"],
    'script-src': ["'self'"],
    'style-src': ["'self'"],
    'img-src': ["'self'", 'blob:', s3],
    'connect-src': ["'self'", http, new URL(ws).origin, ...tokenOrigins, s3],
    'base-uri': ["'none'"],
    'form-action': ["'none'"],
    'frame-ancestors': ["'none'"],
    'require-trusted-types-for': ["'script'"],
    'trusted-types': ["'none'"],
  };
  return Object.entries(directives)
    .map(([name, sources]) => [name, ...sources].join(' '))
    .join('; ');
}

/** Returns the handlers of `/`, `/web/` and `/_local/config.json`. */
export function webRoutes(client: WebClient, places: Places): Readonly<Record<string, Handler>> {
  const policy = contentSecurityPolicy(places);
  const { http, ws, issuer, clientId } = places;
  const files = new Map(client).set('/_local/config.json', {
    contentType: 'application/json',
    body: JSON.stringify({ http, ws, issuer, clientId }),
  });
  return Object.fromEntries(
    [...files].map(([path, { contentType, body }]) => [
      path,
      (_request, response) => {
        response.writeHead(200, {
          'content-type': contentType,
          'content-length': Buffer.byteLength(body),
          'cache-control': 'no-store',
          'content-security-policy': policy,
          'cross-origin-opener-policy': 'same-origin',
          'referrer-policy': 'no-referrer',
          'x-content-type-options': 'nosniff',
        });
        // Node sends no body in the response to a HEAD request.
        response.end(body);
      },
    ]),
  );
}
