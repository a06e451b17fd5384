import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type NodePath, types } from '@babel/core';

/*
 * The mutators: what counts as one small fault. Stryker brings most of them. It has none for numbers, calls and promise
 * handlers, which is where limits, timers and clean-up live, so these are added here.
 */

type Path = NodePath;
type Node = types.Node;

interface Mutator {
  readonly name: string;
  mutate(path: Path, context: unknown): Iterable<Node>;
}

/** Mutators of Stryker that are left out: nearly all of their mutants are texts for people, which no test should pin. */
const LEFT_OUT = new Set(['StringLiteral', 'Regex']);

/** Limits, time-outs and attempts: three times as much, and none. */
const numberLiteral: Mutator = {
  name: 'NumberLiteral',
  *mutate({ node, parent }) {
    if (node.type !== 'NumericLiteral' || parent.type === 'TSLiteralType' || parent.type === 'ObjectProperty') return;
    yield types.numericLiteral(node.value * 3 + 1);
    if (node.value !== 0) yield types.numericLiteral(0);
  },
};

/** Settings of clients stand in object literals: `requestTimeout: 2_000`. */
const setting: Mutator = {
  name: 'Setting',
  *mutate({ node, parent }) {
    if (node.type !== 'NumericLiteral' || parent.type !== 'ObjectProperty' || parent.value !== node) return;
    yield types.numericLiteral(node.value * 1_000);
  },
};

/** A statement that only calls something: the call is dropped. */
const callRemoval: Mutator = {
  name: 'CallRemoval',
  *mutate({ node }) {
    if (node.type !== 'ExpressionStatement') return;
    const call = node.expression.type === 'AwaitExpression' ? node.expression.argument : node.expression;
    if (call.type === 'CallExpression' && call.callee.type !== 'Super') yield types.emptyStatement();
  },
};

/** `promise.finally(f)` and `promise.catch(f)` become `promise`. */
const handlerRemoval: Mutator = {
  name: 'HandlerRemoval',
  *mutate({ node }) {
    if (node.type !== 'CallExpression' || node.callee.type !== 'MemberExpression') return;
    const { object, property } = node.callee;
    if (property.type === 'Identifier' && ['finally', 'catch'].includes(property.name)) yield types.cloneNode(object);
  },
};

/** Whether a node is inside a log line: what a line says is for people. */
const isLogged = (path: Path): boolean =>
  path.findParent(
    ({ node }) =>
      node.type === 'CallExpression' &&
      node.callee.type === 'MemberExpression' &&
      node.callee.object.type === 'Identifier' &&
      node.callee.object.name === 'console',
  ) !== null;

/** Whether a node is the call of a log line itself. */
const isLogLine = ({ node }: Path): boolean =>
  node.type === 'ExpressionStatement' &&
  node.expression.type === 'CallExpression' &&
  node.expression.callee.type === 'MemberExpression' &&
  node.expression.callee.object.type === 'Identifier' &&
  node.expression.callee.object.name === 'console';

/** Where a mutant is, told apart from the others there: the same in every run over the same sources. */
export const keyOf = (
  name: string,
  at: { start: { line: number; column: number }; end: { line: number; column: number } },
  n: number,
): string => `${name}@${at.start.line}:${at.start.column}-${at.end.line}:${at.end.column}#${n}`;

/** `keep`, where given, says which mutants there are; a mutant's key is that of {@link keyOf}, with Babel's lines and columns. */
function limited(mutator: Mutator, keep: () => ReadonlySet<string> | undefined): Mutator {
  return {
    name: mutator.name,
    *mutate(path, context) {
      const { loc } = path.node;
      if (!loc || isLogged(path) || isLogLine(path)) return;
      let n = 0;
      for (const mutant of mutator.mutate(path, context)) {
        const kept = keep();
        if (!kept || kept.has(keyOf(mutator.name, loc, n++))) yield mutant;
      }
    },
  };
}

const isMutatorList = (value: unknown): value is Mutator[] =>
  Array.isArray(value) && value.every((each) => typeof each === 'object' && each !== null && 'mutate' in each);

/**
 * Gives Stryker our mutators beside its own, and has it make only the mutants that `keep` names once it names any.
 * Stryker has no setting for either, so its list is changed in place: it is the one that its instrumenter reads.
 *
 * @throws where Stryker no longer has such a list.
 */
export async function installMutators(keep: () => ReadonlySet<string> | undefined): Promise<void> {
  const instrumenter = createRequire(import.meta.url).resolve('@stryker-mutator/instrumenter');
  const list: unknown = await import(pathToFileURL(join(dirname(instrumenter), 'mutators', 'mutate.js')).href);
  const mutators = typeof list === 'object' && list !== null && 'allMutators' in list ? list.allMutators : undefined;
  if (!isMutatorList(mutators)) throw new Error('This version of Stryker keeps its mutators somewhere else.');
  const ours = [numberLiteral, setting, callRemoval, handlerRemoval];
  const all = [...mutators.filter(({ name }) => !LEFT_OUT.has(name)), ...ours].map((each) => limited(each, keep));
  mutators.splice(0, mutators.length, ...all);
}
