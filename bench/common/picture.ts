import type { Results } from './results.ts';

const WIDTH = 860;
const LABEL = 250;
const ROW = 26;
const TOP = 56;
const BAR = 560;

/** Text that may stand in an SVG, also in an attribute. */
export const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');

/**
 * How functions start, as a bar chart in SVG: CPU time to load and to answer the first request, references first, and a line
 * at half of the bare DocumentClient's.
 */
export function startPicture(found: Results): string {
  const starts = found['cold-start'].filter(({ kind }) => kind !== 'step');
  const reference = starts.find(({ cpuRatio, kind }) => kind === 'reference' && cpuRatio === 1)?.cpu ?? 1;
  const longest = Math.max(...starts.map(({ cpu }) => cpu));
  const x = (cpu: number): number => Math.round((BAR * cpu) / longest);
  const height = TOP + starts.length * ROW + 20;
  const half = LABEL + x(reference / 2);
  const bars = starts.map(({ name, kind, cpu }, n) => {
    const y = TOP + n * ROW;
    const colour = kind === 'reference' ? '#9aa5b1' : '#2f6fde';
    return [
      `<text x="${LABEL - 8}" y="${y + 13}" text-anchor="end">${escaped(name)}</text>`,
      `<rect x="${LABEL}" y="${y}" width="${Math.max(1, x(cpu))}" height="18" fill="${colour}"/>`,
      `<text x="${LABEL + x(cpu) + 6}" y="${y + 13}">${Math.round(cpu)}</text>`,
    ].join('');
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="12" fill="#222" role="img" aria-label="CPU time of the start of each function">`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    '<text x="16" y="24" font-size="15">Start of a function: CPU time to load and to answer the first request, ms</text>',
    `<text x="${half}" y="44" text-anchor="middle" fill="#b3261e">half of the bare DocumentClient</text>`,
    ...bars,
    `<line x1="${half}" y1="48" x2="${half}" y2="${height - 12}" stroke="#b3261e" stroke-dasharray="4 3"/>`,
    '</svg>',
    '',
  ].join('\n');
}
