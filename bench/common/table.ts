export type Cell = string | number;

/** A text table with a header. The first column is aligned to the left, and the others to the right. */
export function textTable(head: readonly Cell[], lines: readonly (readonly Cell[])[]): string {
  const widths = head.map((_, n) => Math.max(...[head, ...lines].map((line) => String(line[n] ?? '').length)));
  const row = (cells: readonly Cell[]): string =>
    cells
      .map((cell, n) => (n === 0 ? String(cell).padEnd(widths[n] ?? 0) : String(cell).padStart(widths[n] ?? 0)))
      .join('  ')
      .trimEnd();
  return [row(head), row(widths.map((width) => '-'.repeat(width))), ...lines.map(row)].join('\n');
}

/** The same table in Markdown. */
export function markdownTable(head: readonly Cell[], lines: readonly (readonly Cell[])[]): string {
  const row = (cells: readonly Cell[]): string => `| ${cells.join(' | ')} |`;
  return [row(head), row(head.map((_, n) => (n === 0 ? '---' : '---:'))), ...lines.map(row)].join('\n');
}
