import { allRoutes, handlerFile, kebab } from '../core/contract/index.ts';
import { actions, unknownAction } from '../core/contract/realtime.ts';
import type { Route } from '../core/contract/route.ts';
import { eventFunctions } from './event-functions.ts';

/** The entry point of a function's code. */
export interface Entry {
  /** Unique name in kebab case. */
  readonly name: string;
  /** Path from the root of the repository. */
  readonly file: string;
}

export const httpEntry = (route: Route): Entry => ({ name: kebab(route.operation), file: handlerFile(route) });

/** Removes the dollar sign from the names of WebSocket routes that clients cannot select, such as `$connect`. */
export const socketFunction = (routeKey: string): string => routeKey.replace(/^\$/, '');

const entryIn = (folder: 'events' | 'realtime', name: string): Entry => ({
  name,
  file: `functions/${folder}/${name}.ts`,
});

/** The functions of all stacks. */
export const allEntries: readonly Entry[] = [
  ...allRoutes.map(httpEntry),
  ...[unknownAction.action, ...Object.keys(actions)].map(socketFunction).map((name) => entryIn('realtime', name)),
  ...Object.entries(eventFunctions).map(([name, { source }]) =>
    entryIn(source === 'websocket' ? 'realtime' : 'events', name),
  ),
];
