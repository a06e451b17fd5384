/** The variables that CDK sets on functions, each on those that need it. */
export type Variable =
  | 'TABLE_NAME'
  | 'BUCKET_NAME'
  | 'MAX_UPLOAD_BYTES'
  | 'USER_FRAME_LIMIT'
  | 'USER_LIMITS'
  | 'CURSOR_KEY'
  | 'ISSUER'
  | 'AUDIENCE'
  | 'CALLBACK_URL'
  | 'PRESENCE_QUEUE_URL'
  | 'LANE_QUEUE_URL'
  | 'EVENT_BUS_NAME'
  | 'SCHEDULE_GROUP'
  | 'SCHEDULE_ROLE_ARN'
  | 'ANNOUNCE_FUNCTION_ARN'
  | 'FAN_OUT_FUNCTION_ARN'
  | 'API_GATEWAY_QUOTA'
  | 'METRICS_ENVIRONMENT';

/**
 * Returns the value of an environment variable.
 *
 * @throws if it is not set
 */
export function env(name: Variable): string {
  const value = process.env[name];
  if (!value) throw new Error(`The environment variable ${name} is not set.`);
  return value;
}
