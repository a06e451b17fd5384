// What a function finds in AWS Lambda, where the emulator has it otherwise. Loaded ahead of the function's code.
//
// Emulator: functions of the CDK's own tell CloudFormation that they are done at the default port of the name they were given,
// which is where CloudFormation is. The emulator has another port.
const https = require('node:https');

const { request } = https;
https.request = (options, ...rest) => {
  const toCloudFormation = options.hostname === 'localhost' && options.port === undefined;
  return request(toCloudFormation ? { ...options, port: process.env.GATEWAY_PORT } : options, ...rest);
};
