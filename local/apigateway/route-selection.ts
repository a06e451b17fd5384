/**
 * Returns the route of a frame: the value that the API's route selection expression selects, if it is a route key,
 * otherwise `$default`. Returns undefined if the API has no such route.
 *
 * @param expression `$request.body.<field>`, with further fields after dots
 * @param text the frame; undefined for a binary one, which has no route of its own
 */
export function selectRoute(
  routeKeys: { has(routeKey: string): boolean },
  expression: string,
  text: string | undefined,
): string | undefined {
  const found = text === undefined ? undefined : evaluate(expression, text);
  // These routes belong to the gateway: clients cannot select them.
  if (found !== undefined && !found.startsWith('$') && routeKeys.has(found)) return found;
  return routeKeys.has('$default') ? '$default' : undefined;
}

function evaluate(expression: string, text: string): string | undefined {
  const [, path] = /^\$\{?request\.body\.([^}]+)\}?$/.exec(expression) ?? [];
  if (path === undefined)
    throw new Error(`The local stack does not support the route selection expression ${expression}.`);
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
