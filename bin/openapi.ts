import { resolve } from 'node:path';
import { allRoutes } from '../core/contract/index.ts';
import { openapiText } from '../core/contract/openapi.ts';
import { generate } from './generated.ts';

await generate({
  script: 'openapi',
  about: 'Writes the OpenAPI 3.1 document of the contract (core/contract).',
  target: { FILE: resolve(import.meta.dirname, '../docs/openapi.json') },
  texts: (file) => ({ [file]: openapiText(allRoutes) }),
});
