/** How tests reach the server that the global setup has started; `inject('openeaapTestServer')`. */
export interface TestServer {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
}

export const TEMPLATE_DATABASE = 'openeaap_template';

declare module 'vitest' {
  interface ProvidedContext {
    readonly openeaapTestServer: TestServer;
  }
}
