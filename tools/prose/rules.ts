import type { TxtParentNode } from '@textlint/ast-node-types';
import type { TextlintRuleReporter } from '@textlint/types';
import { split } from 'sentence-splitter';
import { WORDS } from './words.ts';

/** Maximum number of words in a sentence. The style guide says 25. A few more are allowed, because code and identifiers count as words. */
export const MAX_WORDS = 35;

/** A code span counts as one word. */
const wordsIn = (sentence: string): number => sentence.split(/\s+/).filter((word) => /\w/.test(word)).length;

/** Matches a number before a period, which the sentence splitter would interpret as a decimal point. */
const AFTER_NUMBER = /(?<=\d\.)\s+(?=[A-Z])/;

/** Masks code and link targets, and keeps the length of the text. */
const masked = (source: string): string =>
  source
    .replaceAll(/`[^`]*`/g, (code) => 'x'.repeat(code.length))
    // An unclosed bracket would hide the ends of all following sentences.
    .replaceAll(/\[([^\]]*)\]\(([^)]*)\)/g, (_, text: string, url: string) => `x${text}${'x'.repeat(url.length + 3)}`)
    // The splitter does not recognize a period before the end of emphasis.
    .replaceAll(/\.(\*+)/g, '$1.');

/** Reports sentences that are too long. Table cells and list items are blocks of their own. */
export const sentenceLength: TextlintRuleReporter = ({ Syntax, RuleError, report, getSource, locator }) => {
  const check = (node: TxtParentNode): void => {
    for (const { type, raw, range } of split(masked(getSource(node)))) {
      if (type !== 'Sentence') continue;
      const longest = Math.max(...raw.split(AFTER_NUMBER).map(wordsIn));
      if (longest <= MAX_WORDS) continue;
      const begin = raw.slice(0, 60).replaceAll('\n', ' ');
      const padding = locator.at(range[0]);
      report(node, new RuleError(`A sentence has ${longest} words, more than ${MAX_WORDS}: "${begin}…"`, { padding }));
    }
  };
  return { [Syntax.Paragraph]: check, [Syntax.TableCell]: check };
};

/** Reports words that have a better alternative. Code is not checked. */
export const wording: TextlintRuleReporter = ({ Syntax, RuleError, report, getSource, getFilePath, locator }) => ({
  [Syntax.Str](node) {
    const text = getSource(node);
    for (const { not, say, except } of WORDS) {
      if (except?.test(getFilePath() ?? '')) continue;
      for (const { index, 0: found } of text.matchAll(new RegExp(not.source, 'gi')))
        report(node, new RuleError(`"${found}": say "${say}".`, { padding: locator.at(index) }));
    }
  },
});
