/**
 * For the clients of services that answer within tens of milliseconds: a request that takes this long is sent again, and the
 * three tries that the SDK makes end well within a function's time-out.
 */
export const CLIENT_OPTIONS = {
  maxAttempts: 3,
  requestHandler: { connectionTimeout: 1_000, requestTimeout: 3_000, throwOnRequestTimeout: true },
};
