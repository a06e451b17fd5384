import type { Route } from './route.ts';
import * as table from './routes.ts';

/** The route table by operation. A function imports its own row from `routes.ts`. */
export const routes: { readonly [Operation in keyof typeof table]: Route } = table;

export const allRoutes: readonly Route[] = Object.values(table);

/** `grantAdmin` → `grant-admin`: the name of the handler's file and of its function. */
export const kebab = (operation: string): string => operation.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);

/** The path of a route's handler, from the root of the repository. */
export const handlerFile = ({ set, operation }: Route): string => `functions/http/${set}/${kebab(operation)}.ts`;
