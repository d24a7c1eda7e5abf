// node --import ./register.mjs: gives the security tools of the program one more, `firewall_block_once`: the same
// block, by a firewall that knows no idempotency keys. The platform must never make such a call twice unasked, and
// none of the tools that come with it is of that kind.
import { register } from 'node:module';

register('./hooks.mjs', import.meta.url);
