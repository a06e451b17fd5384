/**
 * The route of a frame that a client has sent: what the API's route selection expression finds in it, where that is the key
 * of a route, else `$default`; undefined where there is no such route either.
 *
 * @param expression `$request.body.<field>`, with further fields after dots
 * @param text the frame; undefined for a binary one, in which nothing can be found
 */
export function selectRoute(
  routeKeys: { has(routeKey: string): boolean },
  expression: string,
  text: string | undefined,
): string | undefined {
  const found = text === undefined ? undefined : evaluate(expression, text);
  // These are the gateway's own: no client can have them by asking for them.
  if (found !== undefined && !found.startsWith('$') && routeKeys.has(found)) return found;
  return routeKeys.has('$default') ? '$default' : undefined;
}

function evaluate(expression: string, text: string): string | undefined {
  const [, path] = /^\$\{?request\.body\.([^}]+)\}?$/.exec(expression) ?? [];
  if (path === undefined)
    throw new Error(`The local stack does not know the route selection expression ${expression}.`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  for (const field of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, field)) return undefined;
    value = Object.entries(value).find(([name]) => name === field)?.[1];
  }
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : undefined;
}
