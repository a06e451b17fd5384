import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { UsageError } from '../../lib/usage-error.ts';

const nameOf = (error: unknown): string => (error instanceof Error ? error.name : '');

/**
 * Gives what a deployed stack says under a name. Throws UsageError where there is no such stack in this account and region, or
 * where it says nothing: it was deployed by an earlier release.
 */
export async function outputsOf(stack: string): Promise<(name: string) => string> {
  const { Stacks: [found] = [] } = await new CloudFormationClient()
    .send(new DescribeStacksCommand({ StackName: stack }))
    .catch((error: unknown) => {
      if (nameOf(error) !== 'ValidationError') throw error;
      throw new UsageError(`There is no stack ${stack} in this account and region.`);
    });
  const outputs = new Map(found?.Outputs?.map(({ OutputKey, OutputValue }) => [OutputKey, OutputValue]));
  return (name) => {
    const value = outputs.get(name);
    if (value === undefined) throw new UsageError(`${stack} has no output ${name}: deploy this release first.`);
    return value;
  };
}
