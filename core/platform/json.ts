import { isJsonObject, type JsonObject } from '../rules/json.ts';

/**
 * Parses text as a JSON object.
 *
 * @throws for any other JSON, because a schema of optional fields would accept an empty array as an empty object
 */
export function parseJsonObject(text: string): JsonObject {
  const value: unknown = JSON.parse(text);
  if (!isJsonObject(value)) throw new TypeError('Not a JSON object.');
  return value;
}
