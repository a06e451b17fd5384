/** `grantAdmin` → `GrantAdmin` */
export const capital = (name: string): string => name.charAt(0).toUpperCase() + name.slice(1);

/** `grant-admin`, `last_admin` → `GrantAdmin`, `LastAdmin` */
export const pascal = (name: string): string => name.split(/[-_]/).map(capital).join('');
