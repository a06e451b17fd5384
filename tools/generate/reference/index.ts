import { configurationPage } from './configuration-page.ts';
import { errorsPage } from './errors-page.ts';
import { httpPage } from './http-page.ts';
import { limitsPage } from './limits-page.ts';

/** The generated reference pages, by their names in docs/reference. */
export const referencePages = (): Readonly<Record<string, string>> => ({
  'http.md': httpPage(),
  'errors.md': errorsPage(),
  'limits.md': limitsPage(),
  'configuration.md': configurationPage(),
});
