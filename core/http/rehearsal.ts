import type { Route } from '../contract/route.ts';
import { REHEARSING_USER } from '../platform/prime.ts';
import type { HttpEvent } from './http-event.ts';

/** Returns the event of a request for the rehearsal of a route: its documented example. */
export function rehearsalEvent({ method, path, example }: Route): HttpEvent {
  const texts = (values: object = {}) =>
    Object.fromEntries(Object.entries(values).map(([k, value]) => [k, String(value)]));
  const routeKey = `${method} ${path}`;
  return {
    version: '2.0',
    routeKey,
    rawPath: path,
    rawQueryString: new URLSearchParams(texts(example.query)).toString(),
    headers: texts(example.headers),
    pathParameters: texts(example.params),
    ...(example.body && { body: JSON.stringify(example.body) }),
    isBase64Encoded: false,
    requestContext: {
      accountId: '',
      apiId: '',
      authorizer: { principalId: '', integrationLatency: 0, jwt: { claims: { sub: REHEARSING_USER }, scopes: [] } },
      domainName: '',
      domainPrefix: '',
      http: { method, path, protocol: 'HTTP/1.1', sourceIp: '', userAgent: '' },
      requestId: 'rehearsal',
      routeKey,
      stage: '',
      time: '',
      timeEpoch: 0,
    },
  };
}
