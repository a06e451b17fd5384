/** The value of an environment variable that CDK sets on the function; throws where it is missing. */
export function env(name: 'TABLE_NAME' | 'BUCKET_NAME' | 'CURSOR_KEY' | 'MAX_UPLOAD_BYTES'): string {
  const value = process.env[name];
  if (!value) throw new Error(`The environment variable ${name} is not set.`);
  return value;
}
