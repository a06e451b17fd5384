/** The event with which Lambda invokes a function for messages of a queue. */
export const queueEvent = (...bodies: string[]) => ({
  Records: bodies.map((body, n) => ({
    messageId: `m${n}`,
    receiptHandle: 'r',
    body,
    attributes: {
      ApproximateReceiveCount: '1',
      SentTimestamp: '0',
      SenderId: 'x',
      ApproximateFirstReceiveTimestamp: '0',
    },
    messageAttributes: {},
    md5OfBody: '',
    eventSource: 'aws:sqs',
    eventSourceARN: 'arn:aws:sqs:us-east-1:000000000000:presence',
    awsRegion: 'us-east-1',
  })),
});
