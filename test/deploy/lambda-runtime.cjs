// Adapts the emulator's Lambda environment to AWS. Loaded before the function's code.
// Emulator: the CDK's own functions report to CloudFormation on the default HTTPS port. The emulator listens on another port.
const https = require('node:https');

const { request } = https;
https.request = (options, ...rest) => {
  const toCloudFormation = options.hostname === 'localhost' && options.port === undefined;
  return request(toCloudFormation ? { ...options, port: process.env.GATEWAY_PORT } : options, ...rest);
};
