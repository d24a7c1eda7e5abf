import type { PluginSettings } from '@openeaap/adapter';
import { pluginSettingsFromEnvironment } from '@openeaap/adapter';

export const USAGE = `openeaap-worker-runtime: OpenEAAP's own runtime (ReAct, chain of thought, tree of thoughts) as a plugin

Usage: openeaap-worker-runtime [--help] [--version]

It thinks for a control plane over gRPC and remembers nothing. Each step brings the address of the model
gateway and a token for it; the worker needs no key of its own. When it listens it prints one line of JSON.

Environment:
  OPENEAAP_PLUGIN_LISTEN         unix:/path or HOST:PORT, port 0: any (default 127.0.0.1:50051)
  OPENEAAP_PLUGIN_NAME           name under which it is registered (default: native)
  OPENEAAP_PLUGIN_TOKEN          every call must carry it as a bearer token (default: no check)
  OPENEAAP_PLUGIN_TLS_CERT       PEM file; needed beyond loopback and Unix sockets
  OPENEAAP_PLUGIN_TLS_KEY        PEM file
  OPENEAAP_PLUGIN_TLS_CLIENT_CA  PEM file; client certificates of this authority are required

On SIGTERM it finishes the steps that it has, for 10 s at most. Exit codes: 0 ended as asked; 1 could not start;
2 wrong usage.`;

/** Errors: invalid_input that names the variable and the cure. */
export function readSettings(): PluginSettings {
  return pluginSettingsFromEnvironment(process.env);
}
