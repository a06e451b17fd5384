/** The version of the contract. It changes when callers can notice, not with every release. */
export const CONTRACT_VERSION = '1.2.0';
