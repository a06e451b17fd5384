import * as v from 'valibot';
import type { Request, Response } from './payload.ts';

const strings = v.array(v.string());

/** AWS::ApiGatewayV2::Api's CorsConfiguration. */
export const corsProperties = v.object({
  AllowOrigins: v.optional(strings, []),
  AllowMethods: v.optional(strings, []),
  AllowHeaders: v.optional(strings, []),
  ExposeHeaders: v.optional(strings, []),
  AllowCredentials: v.optional(v.boolean(), false),
  /** Seconds. */
  MaxAge: v.optional(v.number()),
});
export type Cors = v.InferOutput<typeof corsProperties>;

/** Returns whether a request is a preflight, which the API answers itself, whatever the path. */
export const isPreflight = ({ method, headers }: Request): boolean =>
  method === 'OPTIONS' && headers.origin !== undefined && headers['access-control-request-method'] !== undefined;

/** Returns the response to a preflight. For an origin that the API does not allow, it has no CORS headers. */
export function preflight(cors: Cors, request: Request): Response {
  const allowed = originHeaders(cors, request);
  const list = (name: string, values: readonly string[]) => (values.length > 0 ? { [name]: values.join(',') } : {});
  return {
    status: 204,
    headers: allowed && {
      ...allowed,
      ...list('access-control-allow-methods', cors.AllowMethods),
      ...list('access-control-allow-headers', cors.AllowHeaders),
      ...(cors.MaxAge !== undefined && { 'access-control-max-age': String(cors.MaxAge) }),
    },
    body: Buffer.alloc(0),
  };
}

/** Returns a response with the API's CORS headers instead of those that an integration may have set. */
export function withCors(cors: Cors, request: Request, response: Response): Response {
  const others = Object.entries(response.headers).filter(([name]) => !name.startsWith('access-control-'));
  return { ...response, headers: { ...Object.fromEntries(others), ...originHeaders(cors, request) } };
}

function originHeaders(cors: Cors, { headers }: Request): Record<string, string> {
  const origin = headers.origin?.[0];
  const allowed = origin !== undefined && cors.AllowOrigins.some((pattern) => matches(pattern, origin));
  if (!allowed) return {};
  return {
    'access-control-allow-origin': cors.AllowOrigins.includes('*') ? '*' : origin,
    ...(cors.AllowCredentials && { 'access-control-allow-credentials': 'true' }),
    ...(cors.ExposeHeaders.length > 0 && { 'access-control-expose-headers': cors.ExposeHeaders.join(',') }),
  };
}

/** An origin, or `*`, `http://*` or `https://*`. */
const matches = (pattern: string, origin: string): boolean =>
  pattern.endsWith('*') ? origin.startsWith(pattern.slice(0, -1)) : pattern === origin;
