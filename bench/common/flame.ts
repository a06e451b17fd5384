import { escaped } from './picture.ts';
import { type CpuProfile, type Frame, type Owner, ownerOf, selfTimes } from './profile.ts';

const WIDTH = 1_200;
const ROW = 17;
const TOP = 58;
const MARGIN = 10;
/** Minimum width of a frame. Narrower frames are omitted. */
const NARROWEST = 1.5;
/** Maximum number of rows. Deeper frames are omitted. */
const DEEPEST = 28;
/** Width of a character, to fit texts into their frames. */
const LETTER = 6.3;

const COLOURS: Readonly<Record<Owner, string>> = {
  ours: '#7aa7f7',
  packages: '#f2b36b',
  Node: '#b9d7a8',
  native: '#d5d9de',
  'garbage collection': '#d98c8c',
};

interface Flame {
  readonly label: string;
  readonly owner: Owner;
  /** In microseconds, including the children. */
  total: number;
  readonly children: Map<string, Flame>;
}

/** A label such as `getRoom core/store/rooms.ts`. For files of packages, it contains only the name of the package. */
function labelOf({ functionName, url }: Frame): string {
  const name = functionName || '(anonymous)';
  const [, packageName] = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url) ?? [];
  const own = /\/((?:bench|core|functions|local|test)\/.*)$/.exec(url)?.[1];
  return [name, packageName || own || url.replace(/^.*\//, '')].filter(Boolean).join('  ');
}

/** Merges frames with the same callers, also across profiles. */
function merged(profiles: readonly CpuProfile[]): Flame {
  const root: Flame = { label: 'all', owner: 'native', total: 0, children: new Map() };
  for (const profile of profiles) {
    const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
    const self = selfTimes(profile);
    const add = (id: number, parent: Flame): number => {
      const node = nodes.get(id);
      const owner = node && ownerOf(node.callFrame);
      // Excludes the profiler itself.
      if (!node || !owner || node.callFrame.url === 'node:inspector') return 0;
      const label = labelOf(node.callFrame);
      // The graph has its own root, so V8's root is skipped.
      const flame =
        label === '(root)' ? root : (parent.children.get(label) ?? { label, owner, total: 0, children: new Map() });
      if (flame !== root) parent.children.set(label, flame);
      const time = node.children.reduce((sum, child) => sum + add(child, flame), self.get(id) ?? 0);
      flame.total += time;
      return time;
    };
    const [first] = profile.nodes;
    if (first) add(first.id, root);
  }
  return root;
}

/**
 * Draws a flame graph as SVG, with callers above callees. The width of a frame is its time including callees. Idle time
 * is omitted. The title of a frame has its name, file and share.
 */
export function flameGraph(title: string, profiles: readonly CpuProfile[]): string {
  const root = merged(profiles);
  const scale = (WIDTH - 2 * MARGIN) / Math.max(1, root.total);
  const boxes: string[] = [];
  let deepest = 0;
  const draw = ({ label, owner, total, children }: Flame, x: number, depth: number): void => {
    const width = total * scale;
    if (width < NARROWEST || depth > DEEPEST) return;
    deepest = Math.max(deepest, depth);
    const y = TOP + depth * ROW;
    const share = ((100 * total) / Math.max(1, root.total)).toFixed(1);
    const letters = Math.floor((width - 6) / LETTER);
    const text =
      letters > 3 ? `<text x="${(x + 3).toFixed(1)}" y="${y + 12}">${escaped(label.slice(0, letters))}</text>` : '';
    boxes.push(
      `<g><title>${escaped(label)}  ${share} %</title><rect x="${x.toFixed(1)}" y="${y}" width="${Math.max(1, width - 0.5).toFixed(1)}" height="${ROW - 1}" fill="${COLOURS[owner]}"/>${text}</g>`,
    );
    let at = x;
    for (const child of [...children.values()].sort((a, b) => b.total - a.total)) {
      draw(child, at, depth + 1);
      at += child.total * scale;
    }
  };
  draw(root, MARGIN, 0);
  const height = TOP + (deepest + 1) * ROW + MARGIN;
  const legend = Object.entries(COLOURS).map(
    ([owner, colour], n) =>
      `<rect x="${MARGIN + n * 130}" y="34" width="12" height="12" fill="${colour}"/><text x="${MARGIN + n * 130 + 17}" y="44">${owner}</text>`,
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="monospace" font-size="10.5" fill="#222" role="img" aria-label="${escaped(title)}">`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    `<text x="${MARGIN}" y="22" font-family="sans-serif" font-size="15">${escaped(title)}</text>`,
    ...legend,
    ...boxes,
    '</svg>',
    '',
  ].join('\n');
}
