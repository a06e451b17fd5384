import type { Results } from './results.ts';

const WIDTH = 860;
const LABEL = 250;
const ROW = 26;
const TOP = 56;
const BAR = 490;

/** Escapes a text for SVG elements and attributes. */
export const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');

/** The goal for the first request, relative to the bare DocumentClient. */
const GOAL = 0.4;

/**
 * Draws a bar chart as SVG with the first request after INIT of each function, references first, and a line at the
 * goal. The empty function is omitted.
 */
export function startPicture(found: Results): string {
  const starts = found['cold-start'].filter(
    ({ kind, invoke }) => kind !== 'step' && kind !== 'background' && (kind !== 'reference' || invoke > 1),
  );
  const reference = starts.find(({ invokeRatio, kind }) => kind === 'reference' && invokeRatio === 1)?.invoke ?? 1;
  const longest = Math.max(...starts.map(({ invoke }) => invoke));
  const x = (ms: number): number => Math.round((BAR * ms) / longest);
  const height = TOP + starts.length * ROW + 20;
  const goal = LABEL + x(reference * GOAL);
  const bars = starts.map(({ name, kind, invoke, load }, n) => {
    const y = TOP + n * ROW;
    const colour = kind === 'reference' ? '#9aa5b1' : '#2f6fde';
    return [
      `<text x="${LABEL - 8}" y="${y + 13}" text-anchor="end">${escaped(name)}</text>`,
      `<rect x="${LABEL}" y="${y}" width="${Math.max(1, x(invoke))}" height="18" fill="${colour}"/>`,
      `<text x="${LABEL + x(invoke) + 6}" y="${y + 13}">${Math.round(invoke)} <tspan fill="#777">(INIT ${Math.round(load)})</tspan></text>`,
    ].join('');
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="12" fill="#222" role="img" aria-label="The first request of each function">`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    '<text x="16" y="24" font-size="15">The first request after a cold start, with 512 MB, ms</text>',
    `<text x="${goal}" y="44" text-anchor="middle" fill="#b3261e">0.40 of the bare DocumentClient</text>`,
    ...bars,
    `<line x1="${goal}" y1="48" x2="${goal}" y2="${height - 12}" stroke="#b3261e" stroke-dasharray="4 3"/>`,
    '</svg>',
    '',
  ].join('\n');
}
