import * as v from 'valibot';
import { ACCOUNT, type Physical, REGION, type Resolver, type Resource } from './template.ts';

const name = v.optional(v.string());
const tableName = v.object({ TableName: name });
const bucketName = v.object({ BucketName: name });
const logGroupName = v.object({ LogGroupName: name });
const functionName = v.object({ FunctionName: name });

/** As CloudFormation names a resource whose template gives no name, but without the random part. */
const defaultName = ({ stack, id }: Resource): string => `${stack}-${id}`;

/**
 * What Ref and Fn::GetAtt give for the resources that have a counterpart in the local stack; undefined for all others, such
 * as roles.
 */
export function physicalOf(resource: Resource, resolver: Resolver): Physical | undefined {
  switch (resource.type) {
    case 'AWS::DynamoDB::Table': {
      const ref = resolver.read(resource, tableName).TableName ?? defaultName(resource);
      return { ref, attributes: { Arn: `arn:aws:dynamodb:${REGION}:${ACCOUNT}:table/${ref}` } };
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
    case 'AWS::ApiGatewayV2::Api':
    case 'AWS::ApiGatewayV2::Authorizer':
    case 'AWS::ApiGatewayV2::Integration':
      return { ref: resource.id, attributes: {} };
    default:
      return undefined;
  }
}
