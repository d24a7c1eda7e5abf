import { serve } from '@openeaap/sdk';
import { analyst } from './analyst.ts';
import { hostTool } from './host-tool.ts';
import { ipInNetworks } from './ip-in-networks.ts';

await serve({
  name: 'vercel-ai-sdk',
  version: '0.1.0',
  agents: [analyst],
  tools: [hostTool('ip_in_networks', ipInNetworks, { effect: 'read' })],
});
