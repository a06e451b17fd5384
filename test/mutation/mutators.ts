import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type NodePath, types } from '@babel/core';

/*
 * The mutators, which define the faults that are made. Stryker provides most of them. This file adds mutators for numbers, calls and
 * promise handlers, because Stryker has none, and they cover limits, timers and cleanup.
 */

type Path = NodePath;
type Node = types.Node;

interface Mutator {
  readonly name: string;
  mutate(path: Path, context: unknown): Iterable<Node>;
}

/** Mutators of Stryker that are not used. Nearly all their mutants change texts for people, which tests should not check. */
const LEFT_OUT = new Set(['StringLiteral', 'Regex']);

/** Replaces a number by 3 times its value plus 1, and by 0. Covers limits, time-outs and attempts. */
const numberLiteral: Mutator = {
  name: 'NumberLiteral',
  *mutate({ node, parent }) {
    if (node.type !== 'NumericLiteral' || parent.type === 'TSLiteralType' || parent.type === 'ObjectProperty') return;
    yield types.numericLiteral(node.value * 3 + 1);
    if (node.value !== 0) yield types.numericLiteral(0);
  },
};

/** Multiplies a number in an object literal by 1,000. Covers client settings such as `requestTimeout: 2_000`. */
const setting: Mutator = {
  name: 'Setting',
  *mutate({ node, parent }) {
    if (node.type !== 'NumericLiteral' || parent.type !== 'ObjectProperty' || parent.value !== node) return;
    yield types.numericLiteral(node.value * 1_000);
  },
};

/** Removes a statement that is only a call. */
const callRemoval: Mutator = {
  name: 'CallRemoval',
  *mutate({ node }) {
    if (node.type !== 'ExpressionStatement') return;
    const call = node.expression.type === 'AwaitExpression' ? node.expression.argument : node.expression;
    if (call.type === 'CallExpression' && call.callee.type !== 'Super') yield types.emptyStatement();
  },
};

/** Replaces `promise.finally(f)` and `promise.catch(f)` by `promise`. */
const handlerRemoval: Mutator = {
  name: 'HandlerRemoval',
  *mutate({ node }) {
    if (node.type !== 'CallExpression' || node.callee.type !== 'MemberExpression') return;
    const { object, property } = node.callee;
    if (property.type === 'Identifier' && ['finally', 'catch'].includes(property.name)) yield types.cloneNode(object);
  },
};

/** Whether a node is an argument of a log call. Log texts are for people, so they are not mutated. */
const isLogged = (path: Path): boolean =>
  path.findParent(
    ({ node }) =>
      node.type === 'CallExpression' &&
      node.callee.type === 'MemberExpression' &&
      node.callee.object.type === 'Identifier' &&
      node.callee.object.name === 'console',
  ) !== null;

/** Whether a node is a log call. */
const isLogLine = ({ node }: Path): boolean =>
  node.type === 'ExpressionStatement' &&
  node.expression.type === 'CallExpression' &&
  node.expression.callee.type === 'MemberExpression' &&
  node.expression.callee.object.type === 'Identifier' &&
  node.expression.callee.object.name === 'console';

/** Returns a key for the `n`th mutant of a mutator at a position. The key is the same in every run over the same sources. */
export const keyOf = (
  name: string,
  at: { start: { line: number; column: number }; end: { line: number; column: number } },
  n: number,
): string => `${name}@${at.start.line}:${at.start.column}-${at.end.line}:${at.end.column}#${n}`;

/** Limits a mutator to the mutants whose key (see {@link keyOf}) is in `keep()`. If `keep()` is undefined, all mutants are made. */
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
 * Adds our mutators to those of Stryker, and limits all of them to the mutants in `keep()`. Stryker has no setting for either, so
 * this changes the list that its instrumenter reads.
 *
 * @throws if Stryker no longer has such a list.
 */
export async function installMutators(keep: () => ReadonlySet<string> | undefined): Promise<void> {
  const instrumenter = createRequire(import.meta.url).resolve('@stryker-mutator/instrumenter');
  const list: unknown = await import(pathToFileURL(join(dirname(instrumenter), 'mutators', 'mutate.js')).href);
  const mutators = typeof list === 'object' && list !== null && 'allMutators' in list ? list.allMutators : undefined;
  if (!isMutatorList(mutators)) throw new Error('This version of Stryker has no list of mutators in mutate.js.');
  const ours = [numberLiteral, setting, callRemoval, handlerRemoval];
  const all = [...mutators.filter(({ name }) => !LEFT_OUT.has(name)), ...ours].map((each) => limited(each, keep));
  mutators.splice(0, mutators.length, ...all);
}
