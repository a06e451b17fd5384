import { RemovalPolicy } from 'aws-cdk-lib';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import { Construct } from 'constructs';
import { INDEX } from '../../core/store/keys.ts';
import { pinLogicalId } from './logical-id.ts';

export interface RoomsTableProps {
  /** Whether the table survives its stack and refuses to be deleted. */
  readonly retainData: boolean;
}

/**
 * The single table: rooms, participants, files and messages (its keys: core/store/keys.ts). It is encrypted at rest
 * with a key that DynamoDB owns, which is free. It is on demand, so it costs nothing while idle.
 */
export class RoomsTable extends Construct {
  readonly table: dynamodb.Table;

  constructor(scope: Construct, id: string, { retainData }: RoomsTableProps) {
    super(scope, id);
    const { STRING } = dynamodb.AttributeType;
    this.table = new dynamodb.Table(this, 'Table', {
      partitionKey: { name: 'PK', type: STRING },
      sortKey: { name: 'SK', type: STRING },
      billingMode: dynamodb.BillingMode.PAY_PER_REQUEST,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      // The stream is the source of real-time events.
      stream: dynamodb.StreamViewType.NEW_AND_OLD_IMAGES,
      timeToLiveAttribute: 'expires_at',
      deletionProtection: retainData,
      removalPolicy: retainData ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    });
    this.table.addGlobalSecondaryIndex({
      indexName: INDEX,
      partitionKey: { name: 'GSI1PK', type: STRING },
      sortKey: { name: 'GSI1SK', type: STRING },
      // The index has only the attributes of a participant that a list of rooms shows. So a change of presence does not
      // write to the index.
      projectionType: dynamodb.ProjectionType.INCLUDE,
      nonKeyAttributes: ['username', 'archive_room'],
    });
    pinLogicalId(this.table, 'RoomsTable');
  }
}
