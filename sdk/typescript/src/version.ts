/** Version of this package, told in the handshake; a test compares it with package.json. */
export const SDK_VERSION = '0.1.0';
