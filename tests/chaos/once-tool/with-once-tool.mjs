import { createSecurityTools as createPack } from '@openeaap/security-tools';

const ONCE = 'firewall_block_once';
const BLOCK = 'firewall_block_ip';

export function createSecurityTools(config) {
  const pack = createPack(config);
  return {
    ...pack,
    handshake: async () => {
      const told = await pack.handshake();
      const block = told.tools.find(({ name }) => name === BLOCK);
      return { ...told, tools: [...told.tools, { ...block, name: ONCE, idempotent: false }] };
    },
    call: (invocation, context) => pack.call(invocation.tool === ONCE ? { ...invocation, tool: BLOCK } : invocation, context),
  };
}
