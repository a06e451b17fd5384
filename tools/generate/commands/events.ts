import { resolve } from 'node:path';
import { generate } from '../command.ts';
import { realtimeDocs } from '../realtime-docs.ts';

await generate({
  script: 'events:docs',
  about: `Writes the pages on the WebSocket API and the event bus, and the JSON Schemas of their messages, from the contract
(core/contract/realtime.ts): ${Object.keys(realtimeDocs()).join(', ')}.`,
  target: { FOLDER: resolve(import.meta.dirname, '../../../docs') },
  texts: (folder) =>
    Object.fromEntries(Object.entries(realtimeDocs()).map(([name, text]) => [resolve(folder, name), text])),
});
