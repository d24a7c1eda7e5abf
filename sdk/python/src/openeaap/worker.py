"""The program openeaap-worker: serves the tools and agents of a module."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from openeaap.plugin.load_worker import TargetError, load_worker
from openeaap.plugin.serve_worker import leave_soon, serve_worker, take_stdout
from openeaap.plugin.worker import Worker
from openeaap.plugin.worker_config import DEFAULT_LISTEN, ConfigError, read_worker_config

__all__ = ["main"]

USAGE_EXIT = 2


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    # As `python -m` does: a module beside you is found.
    sys.path.insert(0, os.getcwd())
    announce = take_stdout()
    try:
        # Before the import: a wrong setting needs no module to be told.
        read_worker_config(options.listen, options.name)
        worker = load_worker(options.target)
        if options.version:
            worker = Worker(worker.tools, worker.agents, worker.name, options.version, worker.max_concurrent_steps)
        serve_worker(worker, announce, options.listen, options.name)
    except (TargetError, ConfigError) as error:
        print(f"openeaap-worker: {error}", file=sys.stderr)
        return USAGE_EXIT
    leave_soon()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="openeaap-worker",
        description="Serves tools and agents to an OpenEAAP platform.",
        epilog="The environment tells the rest: OPENEAAP_PLUGIN_TOKEN, OPENEAAP_PLUGIN_TLS_CERT, OPENEAAP_PLUGIN_TLS_KEY, OPENEAAP_PLUGIN_TLS_CLIENT_CA.",
    )
    parser.add_argument("target", metavar="module[:attribute]", help="a module, or a Worker, tool, agent or list of them in it")
    parser.add_argument("--listen", metavar="ADDRESS", help=f"host:port or unix:/path; port 0 is any (OPENEAAP_PLUGIN_LISTEN, else {DEFAULT_LISTEN})")
    parser.add_argument("--name", help="name of the plugin (OPENEAAP_PLUGIN_NAME, else its own)")
    parser.add_argument("--version", metavar="VERSION", help="version of the plugin")
    return parser


if __name__ == "__main__":
    sys.exit(main())
