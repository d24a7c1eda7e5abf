import path from 'node:path';
import { PlatformError } from '@openeaap/kernel';
import type { PluginDeclaration } from './declare/plugin-declaration.ts';
import type { GrpcPeerDeps } from './grpc/open-grpc-peer.ts';
import { openAddressPeer, openLaunchedPeer } from './grpc/open-grpc-peer.ts';
import type { CommandSettings } from './launch/command.ts';
import { createCommandLauncher } from './launch/command.ts';
import type { Launcher } from './launch/launcher.ts';
import type { McpPeerDeps } from './open-mcp-peer.ts';
import { openMcpPeer } from './open-mcp-peer.ts';
import type { OpenPeer } from './supervise/plugin-peer.ts';

export interface OpenPeerDeps extends GrpcPeerDeps, McpPeerDeps {
  /** Folder that relative commands are meant from. */
  readonly cwd: string;
  readonly inherited: CommandSettings['inherited'];
  readonly setpriv: string | null;
  /** Starts images; null: nothing here can. */
  readonly toImageLauncher: ((declaration: PluginDeclaration) => Launcher) | null;
}

/** How copies of a declared plugin come to be, by the way in which it is declared. */
export function createOpenPeer(deps: OpenPeerDeps): (declaration: PluginDeclaration) => OpenPeer {
  return (declaration) => {
    const { start } = declaration;
    if (declaration.type === 'mcp') return openMcpPeer(declaration, deps);
    switch (start.kind) {
      case 'command':
        return openLaunchedPeer(declaration, createCommandLauncher({ command: start.command, cwd: path.resolve(deps.cwd, start.cwd ?? '.'), inherited: deps.inherited, setpriv: deps.setpriv }), deps);
      case 'image': {
        if (deps.toImageLauncher === null) return () => Promise.reject(new PlatformError('unsupported', `The plugin "${declaration.name}" is an image, and this node can start none: there is neither a Docker engine nor a Kubernetes around it. Set OPENEAAP_IMAGE_LAUNCHER to docker or kubernetes, or declare the plugin with "command" or "address".`));
        return openLaunchedPeer(declaration, deps.toImageLauncher(declaration), deps);
      }
      case 'address':
        return openAddressPeer(declaration, start, deps);
      case 'url':
        return openMcpPeer(declaration, deps);
    }
  };
}
