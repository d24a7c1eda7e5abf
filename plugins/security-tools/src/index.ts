export { createSecurityTools } from './create-security-tools.ts';
export type { SecurityTools } from './create-security-tools.ts';
export type { SecurityToolsConfig } from './parse-config.ts';
