import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { UsageError } from '../../lib/usage-error.ts';

/** What an operator needs to know of a deployed stack. */
export interface DeployedStack {
  readonly outputs: ReadonlyMap<string, string>;
}

const nameOf = (error: unknown): string => (error instanceof Error ? error.name : '');

/** Throws UsageError where there is no such stack in this account and region. */
export async function deployedStack(name: string, client = new CloudFormationClient()): Promise<DeployedStack> {
  try {
    const { Stacks = [] } = await client.send(new DescribeStacksCommand({ StackName: name }));
    const [stack] = Stacks;
    return {
      outputs: new Map(stack?.Outputs?.map(({ OutputKey = '', OutputValue = '' }) => [OutputKey, OutputValue])),
    };
  } catch (error) {
    if (nameOf(error) !== 'ValidationError') throw error;
    throw new UsageError(`There is no stack ${name} in this account and region.`);
  }
}

/** Throws UsageError where the stack does not say it: it was deployed by an earlier release. */
export function outputOf({ outputs }: DeployedStack, key: string): string {
  const value = outputs.get(key);
  if (value === undefined) throw new UsageError(`The stack has no output ${key}: deploy this release first.`);
  return value;
}
