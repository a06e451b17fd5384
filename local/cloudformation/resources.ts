import * as v from 'valibot';
import { ACCOUNT, type Physical, REGION, type Resolver, type Resource } from './template.ts';

const name = v.optional(v.string());
const tableName = v.object({ TableName: name });
const bucketName = v.object({ BucketName: name });
const logGroupName = v.object({ LogGroupName: name });
const functionName = v.object({ FunctionName: name });
const queueName = v.object({ QueueName: name, FifoQueue: v.optional(v.boolean(), false) });
const roleName = v.object({ RoleName: name });
const plainName = v.object({ Name: name });
const stageName = v.object({ StageName: v.string() });

/** The last part of a stream's ARN. In AWS, it is the creation time. */
const STREAM = '/stream/local';

/** Returns a name for a resource without a name in the template. The name is like that of CloudFormation, without the random part. */
const defaultName = ({ stack, id }: Resource): string => `${stack}-${id}`;

/**
 * Returns the values of Ref and Fn::GetAtt for the resources that have a counterpart in the local stack; undefined
 * for all others, such as permissions. Names and URLs are like those of AWS; `local-urls.ts` maps them to local ones
 * for the functions.
 */
export function physicalOf(resource: Resource, resolver: Resolver): Physical | undefined {
  switch (resource.type) {
    case 'AWS::DynamoDB::Table': {
      const ref = resolver.read(resource, tableName).TableName ?? defaultName(resource);
      const Arn = `arn:aws:dynamodb:${REGION}:${ACCOUNT}:table/${ref}`;
      return { ref, attributes: { Arn, StreamArn: `${Arn}${STREAM}` } };
    }
    case 'AWS::S3::Bucket': {
      const ref = resolver.read(resource, bucketName).BucketName ?? defaultName(resource).toLowerCase();
      return { ref, attributes: { Arn: `arn:aws:s3:::${ref}` } };
    }
    case 'AWS::Lambda::Function': {
      const ref = resolver.read(resource, functionName).FunctionName ?? defaultName(resource);
      return { ref, attributes: { Arn: `arn:aws:lambda:${REGION}:${ACCOUNT}:function:${ref}` } };
    }
    case 'AWS::Logs::LogGroup': {
      const ref = resolver.read(resource, logGroupName).LogGroupName ?? defaultName(resource);
      return { ref, attributes: { Arn: `arn:aws:logs:${REGION}:${ACCOUNT}:log-group:${ref}:*` } };
    }
    case 'AWS::SQS::Queue': {
      const { QueueName: given, FifoQueue } = resolver.read(resource, queueName);
      const QueueName = given ?? `${defaultName(resource)}${FifoQueue ? '.fifo' : ''}`;
      const ref = `https://sqs.${REGION}.amazonaws.com/${ACCOUNT}/${QueueName}`;
      return { ref, attributes: { Arn: `arn:aws:sqs:${REGION}:${ACCOUNT}:${QueueName}`, QueueName, QueueUrl: ref } };
    }
    case 'AWS::Events::EventBus': {
      const Name = resolver.read(resource, plainName).Name ?? defaultName(resource);
      return { ref: Name, attributes: { Arn: `arn:aws:events:${REGION}:${ACCOUNT}:event-bus/${Name}`, Name } };
    }
    case 'AWS::Scheduler::ScheduleGroup': {
      const ref = resolver.read(resource, plainName).Name ?? defaultName(resource);
      return { ref, attributes: { Arn: `arn:aws:scheduler:${REGION}:${ACCOUNT}:schedule-group/${ref}` } };
    }
    // The local stack does not enforce permissions, but other resources refer to the ARN of a role.
    case 'AWS::IAM::Role': {
      const ref = resolver.read(resource, roleName).RoleName ?? defaultName(resource);
      return { ref, attributes: { Arn: `arn:aws:iam::${ACCOUNT}:role/${ref}` } };
    }
    case 'AWS::ApiGatewayV2::Stage':
      return { ref: resolver.read(resource, stageName).StageName, attributes: {} };
    case 'AWS::ApiGatewayV2::Api':
    case 'AWS::ApiGatewayV2::Authorizer':
    case 'AWS::ApiGatewayV2::Integration':
    case 'AWS::ApiGatewayV2::Route':
      return { ref: resource.id, attributes: {} };
    default:
      return undefined;
  }
}

/** Returns the table of a stream, by the names in their ARNs. */
export const tableOfStream = (streamArn: string): string => streamArn.split('/')[1] ?? '';
