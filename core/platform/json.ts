import { isJsonObject, type JsonObject } from '../rules/json.ts';

/**
 * Parses text as a JSON object. Throws for anything else: to a schema of optional fields, an empty array would be an
 * empty object.
 */
export function parseJsonObject(text: string): JsonObject {
  const value: unknown = JSON.parse(text);
  if (!isJsonObject(value)) throw new TypeError('Not a JSON object.');
  return value;
}
