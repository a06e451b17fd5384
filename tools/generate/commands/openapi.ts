import { resolve } from 'node:path';
import { allRoutes } from '../../../core/contract/index.ts';
import { generate } from '../command.ts';
import { openapi30Text, openapiText } from '../openapi.ts';

await generate({
  script: 'openapi',
  about: `Writes the OpenAPI 3.1 document of the contract (core/contract) to FILE, and the OpenAPI 3.0 version to a file with -3.0
  before the extension.`,
  target: { FILE: resolve(import.meta.dirname, '../../../docs/openapi.json') },
  texts: (file) => ({
    [file]: openapiText(allRoutes),
    [file.replace(/(\.json)?$/, '-3.0.json')]: openapi30Text(allRoutes),
  }),
});
