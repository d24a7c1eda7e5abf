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
import type { PeerSource } from './supervise/plugin-peer.ts';

export interface PeerSourceDeps extends GrpcPeerDeps, McpPeerDeps {
  /** Folder that relative commands are meant from. */
  readonly cwd: string;
  readonly inherited: CommandSettings['inherited'];
  readonly setpriv: string | null;
  /** Starts images; null: nothing here can. */
  readonly toImageLauncher: ((declaration: PluginDeclaration) => Launcher) | null;
}

/** How copies of a declared plugin come to be, by the way in which it is declared. */
export function createPeerSource(deps: PeerSourceDeps): (declaration: PluginDeclaration) => PeerSource {
  return (declaration) => {
    const { start } = declaration;
    if (declaration.type === 'mcp') return { open: openMcpPeer(declaration, deps), copies: 1 };
    switch (start.kind) {
      case 'command':
        return { copies: declaration.replicas, open: openLaunchedPeer(declaration, createCommandLauncher({ command: start.command, cwd: path.resolve(deps.cwd, start.cwd ?? '.'), inherited: deps.inherited, setpriv: deps.setpriv }), deps) };
      case 'image': {
        if (deps.toImageLauncher === null) return { copies: 1, open: () => Promise.reject(noLauncher(declaration.name)) };
        const launcher = deps.toImageLauncher(declaration);
        return { copies: launcher.replicates === true ? 1 : declaration.replicas, open: openLaunchedPeer(declaration, launcher, deps) };
      }
      case 'address':
        return { copies: 1, open: openAddressPeer(declaration, start, deps) };
      case 'url':
        return { copies: 1, open: openMcpPeer(declaration, deps) };
    }
  };
}

const noLauncher = (plugin: string): PlatformError =>
  new PlatformError('unsupported', `The plugin "${plugin}" is an image, and this node can start none: there is neither a Docker engine nor a Kubernetes around it. Set OPENEAAP_IMAGE_LAUNCHER to docker or kubernetes, or declare the plugin with "command" or "address".`);
