/** A route of an HTTP API, prepared for matching. */
export interface RoutePattern<Target> {
  /** The route key in the template, such as `GET /room/{room_id}` or `$default`. */
  readonly routeKey: string;
  readonly target: Target;
}

export interface RouteMatch<Target> extends RoutePattern<Target> {
  readonly pathParameters: Readonly<Record<string, string>>;
}

/** Rank of the route, compared from the first number on. With equal paths, a specific method has priority over ANY. */
type Rank = readonly number[];
const FIXED = 3;
const PARAMETER = 2;
const GREEDY = 1;

/**
 * Returns the route that API Gateway chooses for a request: the most specific one. Fixed parts of a path have priority over
 * parameters. Parameters have priority over a greedy one (`{proxy+}`). `$default` is last.
 *
 * @param path decoded, without the query
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html
 */
export function matchRoute<Target>(
  routes: readonly RoutePattern<Target>[],
  method: string,
  path: string,
): RouteMatch<Target> | undefined {
  let best: { match: RouteMatch<Target>; rank: Rank } | undefined;
  for (const route of routes) {
    const fit = fitOf(route.routeKey, method, path);
    if (fit && (!best || compare(fit.rank, best.rank) > 0))
      best = { match: { ...route, pathParameters: fit.parameters }, rank: fit.rank };
  }
  return best?.match;
}

function fitOf(
  routeKey: string,
  method: string,
  path: string,
): { parameters: Record<string, string>; rank: Rank } | undefined {
  if (routeKey === '$default') return { parameters: {}, rank: [] };
  const [routeMethod = '', routePath = ''] = routeKey.split(' ');
  if (routeMethod !== method && routeMethod !== 'ANY') return undefined;
  const parts = path.split('/');
  const patterns = routePath.split('/');
  const parameters: Record<string, string> = {};
  const rank: number[] = [];
  for (const [index, pattern] of patterns.entries()) {
    const part = parts[index];
    if (part === undefined) return undefined;
    const [, name, greedy] = /^\{([^}+]+)(\+?)\}$/.exec(pattern) ?? [];
    if (name === undefined) {
      if (part !== pattern) return undefined;
      rank.push(FIXED);
    } else if (greedy) {
      const rest = parts.slice(index).join('/');
      if (rest === '') return undefined;
      parameters[name] = rest;
      return { parameters, rank: [...rank, GREEDY, routeMethod === 'ANY' ? 0 : 1] };
    } else {
      if (part === '') return undefined;
      parameters[name] = part;
      rank.push(PARAMETER);
    }
  }
  if (parts.length !== patterns.length) return undefined;
  return { parameters, rank: [...rank, routeMethod === 'ANY' ? 0 : 1] };
}

function compare(a: Rank, b: Rank): number {
  for (let index = 0; index < Math.max(a.length, b.length); index += 1) {
    const difference = (a[index] ?? -1) - (b[index] ?? -1);
    if (difference !== 0) return difference;
  }
  return 0;
}
