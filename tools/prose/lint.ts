import { globSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { TextlintKernel, type TextlintMessage } from '@textlint/kernel';
import markdown from '@textlint/textlint-plugin-markdown';
import { MAX_WORDS, sentenceLength, wording } from './rules.ts';

const HELP = `Usage: npm run lint:prose

Checks the prose of all Markdown documents and doc comments: sentences of at most ${MAX_WORDS} words, and words that have a better
alternative (tools/prose/words.ts). Exits with 1 if there are findings.

  --help  Print this
`;

const ROOT = resolve(import.meta.dirname, '../..');
const DOCUMENTS = ['*.md', 'docs/**/*.md', 'client/*.md', 'examples/*/*.md', '.github/**/*.md', '.changeset/*.md'];
const SOURCES = '{bench,bin,client/src,core,demo,functions,lib,local,tools,web/src}/**/*.ts';
const ignored = (path: string): boolean => /(^|\/)(node_modules|dist)(\/|$)/.test(path);

const kernel = new TextlintKernel();

async function findingsIn(text: string, filePath: string): Promise<readonly TextlintMessage[]> {
  const { messages } = await kernel.lintText(text, {
    ext: '.md',
    filePath,
    plugins: [{ pluginId: 'markdown', plugin: markdown.default ?? markdown }],
    rules: [
      { ruleId: 'sentence-length', rule: sentenceLength },
      { ruleId: 'wording', rule: wording },
    ],
  });
  return messages;
}

/** Returns the doc comments of a file as Markdown. All other lines are blank, so that line numbers stay the same. */
function commentsOf(source: string): string {
  const kept = source.split('\n').map(() => '');
  for (const { index, 0: comment } of source.matchAll(/\/\*\*[\s\S]*?\*\//g)) {
    const first = source.slice(0, index).split('\n').length - 1;
    for (const [n, line] of comment.split('\n').entries())
      kept[first + n] = line
        .replace(/^\s*\/?\*+\/?\s?/, '')
        .replace(/\*\/$/, '')
        // A tag and its operand are not prose.
        .replace(/^@\w+( [\w.$]+)?/, '');
  }
  return kept.join('\n');
}

async function main(): Promise<string> {
  const { values } = parseArgs({ options: { help: { type: 'boolean', short: 'h', default: false } } });
  if (values.help) return HELP;

  let found = 0;
  const check = async (file: string, prose: string): Promise<void> => {
    for (const { line, column, message } of await findingsIn(prose, file)) {
      found += 1;
      console.error(`${file}:${line}:${column} ${message}`);
    }
  };
  const textOf = (file: string): string => readFileSync(resolve(ROOT, file), 'utf8');
  const documents = globSync(DOCUMENTS, { cwd: ROOT, exclude: ignored }).sort();
  for (const file of documents) await check(file, textOf(file));
  const sources = globSync(SOURCES, { cwd: ROOT, exclude: ignored }).sort();
  for (const file of sources) await check(file, commentsOf(textOf(file)));
  if (found > 0) process.exitCode = 1;
  return `${found} findings in ${documents.length} documents and the doc comments of ${sources.length} files.`;
}

console.log(await main());
