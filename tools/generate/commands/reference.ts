import { resolve } from 'node:path';
import { generate } from '../command.ts';
import { referencePages } from '../reference/index.ts';

await generate({
  script: 'reference',
  about: `Writes the reference pages from the contract (core/contract) and the settings (lib/environments.ts):
${Object.keys(referencePages()).join(', ')}.`,
  target: { FOLDER: resolve(import.meta.dirname, '../../../docs/reference') },
  texts: (folder) =>
    Object.fromEntries(Object.entries(referencePages()).map(([name, text]) => [resolve(folder, name), text])),
});
