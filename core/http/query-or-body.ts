import { invalid } from '../contract/errors.ts';

/** What a request may give in its query or in its body, but has to give in one of them. Throws `invalid_request`. */
export function queryOrBody<T>(query: T | undefined, body: T | undefined, path: string): T {
  if (query !== undefined && body !== undefined) throw invalid({ path, message: 'must not be both in query and body' });
  const given = query ?? body;
  if (given === undefined) throw invalid({ path, message: 'is required' });
  return given;
}
