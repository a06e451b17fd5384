/** The version of the contract. It changes with visible changes for callers, not with every release. */
export const CONTRACT_VERSION = '1.2.0';
