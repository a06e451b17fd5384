import { allRoutes, handlerFile, kebab } from '../core/contract/index.ts';
import { actions, unknownAction } from '../core/contract/realtime.ts';
import type { Route } from '../core/contract/route.ts';

/** Where the code of a function starts. */
export interface Entry {
  /** Kebab case; no two functions have the same. */
  readonly name: string;
  /** From the root of the repository. */
  readonly file: string;
}

export const httpEntry = (route: Route): Entry => ({ name: kebab(route.operation), file: handlerFile(route) });

/** `$connect` → `connect`: WebSocket routes that are not for clients to choose begin with a dollar sign. */
export const socketFunction = (routeKey: string): string => routeKey.replace(/^\$/, '');

const realtimeEntry = (name: string): Entry => ({ name, file: `functions/realtime/${name}.ts` });
const eventEntry = (name: string): Entry => ({ name, file: `functions/events/${name}.ts` });

/** The functions of all stacks. */
export const allEntries: readonly Entry[] = [
  ...allRoutes.map(httpEntry),
  ...['authorizer', '$connect', '$disconnect', unknownAction.action, ...Object.keys(actions)]
    .map(socketFunction)
    .map(realtimeEntry),
  ...['deliver-messages', 'room-changes', 'fan-out', 'lane', 'presence', 'announce'].map(eventEntry),
];
