import { CfnResource } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

/**
 * Fixes the logical id of a resource that holds data, or that others refer to. CloudFormation replaces a resource
 * whose logical id changes, so moving or renaming its construct would otherwise lose the data.
 * test/infrastructure/pinned.test.ts lists all of them.
 */
export function pinLogicalId(construct: IConstruct, logicalId: string): void {
  const resource = construct.node.defaultChild;
  if (!CfnResource.isCfnResource(resource)) throw new Error(`${construct.node.path} is not a CloudFormation resource.`);
  resource.overrideLogicalId(logicalId);
}
