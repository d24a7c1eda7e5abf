import { BlockList, isIP, isIPv6 } from 'node:net';
import { ToolError } from '@openeaap/sdk';
import { tool } from 'ai';
import { z } from 'zod';

/** A tool as it is written for the AI SDK. */
export const ipInNetworks = tool({
  description: 'Says which of the given networks an IP address lies in.',
  inputSchema: z.object({
    ip: z.string().describe('An IPv4 or IPv6 address.'),
    networks: z.array(z.string()).min(1).max(100).describe('Networks in CIDR form, e.g. 10.0.0.0/8.'),
  }),
  execute: ({ ip, networks }) => {
    if (isIP(ip) === 0) throw new ToolError(`ip: "${ip}" is no IP address.`);
    return { ip, inside: networks.filter((network) => lies(ip, network)) };
  },
});

function lies(ip: string, network: string): boolean {
  const [address = '', bits = ''] = network.split('/');
  const limit = isIPv6(address) ? 128 : 32;
  if (isIP(address) === 0 || !/^\d{1,3}$/.test(bits) || Number(bits) > limit) throw new ToolError(`networks: "${network}" is none. Write it like 10.0.0.0/8.`);
  const list = new BlockList();
  list.addSubnet(address, Number(bits), familyOf(address));
  return list.check(ip, familyOf(ip));
}

const familyOf = (address: string): 'ipv6' | 'ipv4' => (isIPv6(address) ? 'ipv6' : 'ipv4');
