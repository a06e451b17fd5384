/* Generated sections of documents: the text between two Markdown comments that contain the generating command. */

const begin = (program: string): string => `<!-- written by ${program}: begin -->`;
const end = (program: string): string => `<!-- written by ${program}: end -->`;

function bounds(text: string, program: string): [number, number] {
  const [start, stop] = [text.indexOf(begin(program)), text.indexOf(end(program))];
  if (start < 0 || stop < start) throw new Error(`The document has no section that ${program} writes.`);
  return [start + begin(program).length, stop];
}

/** Returns the content of a section. */
export function sectionOf(text: string, program: string): string {
  const [start, stop] = bounds(text, program);
  return text.slice(start, stop).trim();
}

/** Returns the document with a new content of a section. */
export function withSection(text: string, program: string, section: string): string {
  const [start, stop] = bounds(text, program);
  return `${text.slice(0, start)}\n\n${section.trim()}\n\n${text.slice(stop)}`;
}
