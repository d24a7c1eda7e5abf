/** Does a gRPC target stay on this machine? Names are not resolved: what `localhost` means is known, everything else is not. */
export function isLoopbackTarget(target: string): boolean {
  if (target.startsWith('unix:')) return true;
  const authority = target.replace(/^(dns:\/\/\/|dns:|ipv4:|ipv6:)/, '');
  const host = authority.startsWith('[') ? authority.slice(1, authority.indexOf(']')) : authority.replace(/:\d+$/, '');
  return host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}
