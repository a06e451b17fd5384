import { invalid } from '../contract/errors.ts';

/**
 * Returns a value that a request must contain either in its query or in its body.
 *
 * @throws `invalid_request` if both or neither have it
 */
export function queryOrBody<T>(query: T | undefined, body: T | undefined, path: string): T {
  if (query !== undefined && body !== undefined) throw invalid({ path, message: 'must not be both in query and body' });
  const given = query ?? body;
  if (given === undefined) throw invalid({ path, message: 'is required' });
  return given;
}
