import type { Construct } from 'constructs';
import { type Bundles, folderOf } from '../bundle.ts';
import type { DataStack } from '../data-stack.ts';
import { type EventFunctionName, eventFunctions } from '../event-functions.ts';
import { accessTo } from './permission.ts';
import { RoomsFunction, type RoomsFunctionProps } from './rooms-function.ts';

export interface EventFunctionProps extends Omit<RoomsFunctionProps, 'name' | 'description' | 'code' | 'timeout'> {
  readonly name: EventFunctionName;
  readonly bundles: Bundles;
  readonly data: DataStack;
}

/** Creates a function from its row in event-functions.ts. Adds `permissions` to the access in the row. */
export class EventFunction extends RoomsFunction {
  constructor(scope: Construct, id: string, { name, bundles, data, permissions = [], ...props }: EventFunctionProps) {
    const { description, access, timeout } = eventFunctions[name];
    super(scope, id, {
      ...props,
      name,
      description,
      timeout,
      code: folderOf(bundles, name),
      permissions: [...accessTo(data, access), ...permissions],
    });
  }
}
