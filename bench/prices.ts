/*
 * AWS's prices in US dollars for US East (N. Virginia), on demand, without free tiers and discounts. Check them against
 * the sources before you rely on them, and update the month.
 */

/** The month of these prices. */
export const PRICES_AS_OF = '2025-12';

interface Price {
  readonly dollars: number;
  readonly per: string;
  readonly source: string;
}

const LAMBDA = 'https://aws.amazon.com/lambda/pricing/';
const API_GATEWAY = 'https://aws.amazon.com/api-gateway/pricing/';
const DYNAMODB = 'https://aws.amazon.com/dynamodb/pricing/on-demand/';
const EC2 = 'https://aws.amazon.com/ec2/pricing/on-demand/';

/** Prices per unit of everything that we use. */
export const PRICES = {
  lambdaRequest: { dollars: 0.2 / 1e6, per: 'invocation', source: LAMBDA },
  lambdaGbSecond: { dollars: 0.0000133334, per: 'GB-second, Arm', source: LAMBDA },
  httpRequest: { dollars: 1 / 1e6, per: 'HTTP API request', source: API_GATEWAY },
  socketMessage: { dollars: 1 / 1e6, per: 'WebSocket message of up to 32 KB, either way', source: API_GATEWAY },
  connectionMinute: { dollars: 0.25 / 1e6, per: 'minute of a WebSocket', source: API_GATEWAY },
  writeUnit: { dollars: 0.625 / 1e6, per: 'write request unit', source: DYNAMODB },
  readUnit: { dollars: 0.125 / 1e6, per: 'read request unit', source: DYNAMODB },
  storageGbMonth: { dollars: 0.25, per: 'GB and month of the table', source: DYNAMODB },
  event: { dollars: 1 / 1e6, per: 'custom event', source: 'https://aws.amazon.com/eventbridge/pricing/' },
  fifoRequest: { dollars: 0.5 / 1e6, per: 'SQS request, FIFO', source: 'https://aws.amazon.com/sqs/pricing/' },
  queueRequest: { dollars: 0.4 / 1e6, per: 'SQS request', source: 'https://aws.amazon.com/sqs/pricing/' },
  logGb: { dollars: 0.5, per: 'GB of log taken in', source: 'https://aws.amazon.com/cloudwatch/pricing/' },
  egressGb: { dollars: 0.09, per: 'GB sent to the internet', source: EC2 },
} as const satisfies Readonly<Record<string, Price>>;

interface MonthlyItem extends Price {
  readonly name: string;
  readonly count: number;
}

const HOURS_A_MONTH = 730;

/**
 * The smallest production setup of five services on Kubernetes. Compute is billed by the hour, storage by the month.
 */
export const KUBERNETES: readonly MonthlyItem[] = [
  {
    name: 'EKS control plane',
    count: 1,
    dollars: 0.1 * HOURS_A_MONTH,
    per: 'cluster',
    source: 'https://aws.amazon.com/eks/pricing/',
  },
  {
    name: 'nodes, m6i.large, one in each of two zones',
    count: 2,
    dollars: 0.096 * HOURS_A_MONTH,
    per: 'node',
    source: EC2,
  },
  {
    name: 'their disks, gp3, 50 GB',
    count: 2,
    dollars: 50 * 0.08,
    per: 'volume',
    source: 'https://aws.amazon.com/ebs/pricing/',
  },
  {
    name: 'PostgreSQL, RDS db.t4g.medium in two zones',
    count: 1,
    dollars: 0.129 * HOURS_A_MONTH,
    per: 'instance',
    source: 'https://aws.amazon.com/rds/postgresql/pricing/',
  },
  {
    name: 'its storage, gp3 in two zones, 50 GB',
    count: 1,
    dollars: 50 * 0.23,
    per: 'volume',
    source: 'https://aws.amazon.com/rds/postgresql/pricing/',
  },
  {
    name: 'Redis, ElastiCache cache.t4g.small, primary and replica',
    count: 2,
    dollars: 0.032 * HOURS_A_MONTH,
    per: 'node',
    source: 'https://aws.amazon.com/elasticache/pricing/',
  },
  {
    name: 'NAT gateway, one a zone',
    count: 2,
    dollars: 0.045 * HOURS_A_MONTH,
    per: 'gateway',
    source: 'https://aws.amazon.com/vpc/pricing/',
  },
  {
    name: 'load balancer, with one capacity unit',
    count: 1,
    dollars: (0.0225 + 0.008) * HOURS_A_MONTH,
    per: 'balancer',
    source: 'https://aws.amazon.com/elasticloadbalancing/pricing/',
  },
  {
    name: 'MinIO, 100 GB of gp3 on the nodes; NATS and the services are on the nodes too',
    count: 1,
    dollars: 100 * 0.08,
    per: 'volume',
    source: 'https://aws.amazon.com/ebs/pricing/',
  },
];
