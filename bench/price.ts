import { parseCommandLine } from '../tools/cli/command-line.ts';
import { main, number } from './common/command.ts';
import { rounded } from './common/numbers.ts';
import { ASSUMPTIONS, type Bill, kubernetesFloor, priceOf, total } from './common/price-model.ts';
import { textTable } from './common/table.ts';
import { KUBERNETES, PRICES_AS_OF } from './prices.ts';

const SCRIPT = 'npm run bench:price --';
const HELP = `Usage: ${SCRIPT} [options]

Calculates the price of 1,000 room-hours and of 1 million messages in US dollars, from counted capacity units
(test/fixtures/samples.ts) and AWS's prices (bench/prices.ts). Compares it with the monthly price of five idle services on
Kubernetes. Ignores free tiers and discounts.

  --participants <n>   participants of a room, all connected (default: ${ASSUMPTIONS.participants})
  --hours <n>          duration of a room (default: ${ASSUMPTIONS.hours})
  --messages <n>       messages per room and hour (default: ${ASSUMPTIONS.messages})
  --ping <seconds>     silence after which clients send a ping (default: ${ASSUMPTIONS.pingSeconds})
  --json               print JSON instead of the tables
  --help               print this text
`;

const lines = (bill: Bill, count: number): (readonly [string, string])[] =>
  Object.entries(bill).map(([name, dollars]) => [name, (count * dollars).toFixed(2)] as const);

await main(async () => {
  const text = (name: 'participants' | 'hours' | 'messages' | 'pingSeconds') =>
    ({ type: 'string', default: String(ASSUMPTIONS[name]) }) as const;
  const { values } = parseCommandLine(
    {
      options: {
        participants: text('participants'),
        hours: text('hours'),
        messages: text('messages'),
        ping: text('pingSeconds'),
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    },
    `${SCRIPT} --help`,
  );
  if (values.help) return HELP;
  const assumed = {
    ...ASSUMPTIONS,
    participants: number('participants', values.participants, 2, 100_000),
    hours: number('hours', values.hours, 1, 10_000),
    messages: number('messages', values.messages, 0, 1_000_000),
    pingSeconds: number('ping', values.ping, 1, 540),
  };
  const { roomHour, message } = priceOf(assumed);
  const floor = kubernetesFloor();
  const result = {
    prices: PRICES_AS_OF,
    assumed,
    thousandRoomHours: rounded(1_000 * total(roomHour), 2),
    millionMessages: rounded(1e6 * total(message), 2),
    kubernetesMonth: rounded(floor, 2),
    /** The number of room-hours that cost as much as an idle cluster in a month. */
    roomHoursForTheFloor: Math.floor(floor / total(roomHour)),
  };
  if (values.json) return JSON.stringify({ ...result, roomHour, message }, null, 2);
  const assumptions = Object.entries(assumed).map(([name, value]) => `${name} ${value}`);
  return [
    `Prices of ${PRICES_AS_OF}, us-east-1. Assumed: ${assumptions.join(', ')}.`,
    '',
    textTable(
      ['1,000 room-hours', 'dollars'],
      [...lines(roomHour, 1_000), ['together', result.thousandRoomHours.toFixed(2)]],
    ),
    '',
    textTable(
      [`1,000,000 messages to ${assumed.participants}`, 'dollars'],
      [...lines(message, 1e6), ['together', result.millionMessages.toFixed(2)]],
    ),
    '',
    textTable(
      ['Kubernetes, a month without a user', 'dollars'],
      [
        ...KUBERNETES.map(({ name, count, dollars }) => [`${count} × ${name}`, (count * dollars).toFixed(2)]),
        ['together', floor.toFixed(2)],
      ],
    ),
    '',
    `Without a user, Rooms costs nothing but storage. It costs as much as the idle cluster at ${result.roomHoursForTheFloor.toLocaleString('en')} room-hours a month.`,
  ].join('\n');
});
