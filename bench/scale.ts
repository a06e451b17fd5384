import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseCommandLine } from '../tools/cli/command-line.ts';
import { main } from './common/command.ts';
import { loadsOf, WORKLOADS } from './common/scale-model.ts';
import { PROGRAM, scaleText } from './common/scale-text.ts';
import { withSection } from './common/section.ts';

const HELP = `Usage: ${PROGRAM} -- [options]

Calculates which documented limit of AWS is reached first by 1 million rooms, 100 million users, or a room with 100,000
messages per hour. Uses counted capacity units, and a simulation of random loads. Takes 1 second.

  --write   write the figures into docs/operate/scale.md
  --json    print loads and limits as JSON
  --help    print this text
`;

const DOCUMENT = fileURLToPath(new URL('../docs/operate/scale.md', import.meta.url));

await main(async () => {
  const { values } = parseCommandLine(
    {
      options: {
        write: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    },
    `${PROGRAM} -- --help`,
  );
  if (values.help) return HELP;
  if (values.json)
    return JSON.stringify(
      WORKLOADS.map((workload) => ({ ...workload, loads: loadsOf(workload) })),
      null,
      2,
    );
  const text = scaleText();
  if (!values.write) return text;
  writeFileSync(DOCUMENT, withSection(readFileSync(DOCUMENT, 'utf8'), PROGRAM, text));
  return `Wrote ${DOCUMENT}.`;
});
