"""The program openeaap-langchain-bridge: serves the LangChain agents of a file."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout

from openeaap.sdk import ConfigError

from openeaap_langchain_bridge.bridge_worker import bridge_worker
from openeaap_langchain_bridge.installed_langchain import installed_versions
from openeaap_langchain_bridge.load_agents import AgentsError, load_agents

USAGE_EXIT = 2


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # The client of the model would log each request; the platform's traces have them.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # As `python -m` does: a module beside you is found.
    sys.path.insert(0, os.getcwd())
    try:
        # Standard output is for one line of the protocol's.
        with redirect_stdout(sys.stderr):
            agents = [agent for target in options.agents for agent in load_agents(target)]
        worker = bridge_worker(agents, options.name)
        versions = ", ".join(f"{name} {version}" for name, version in installed_versions().items())
        logging.getLogger("openeaap.langchain").info("Hosting %s with %s.", ", ".join(agent.name for agent in agents), versions)
        worker.serve(options.listen)
    except (AgentsError, ConfigError, ValueError, TypeError) as error:
        if isinstance(error, (ValueError, TypeError)) and _is_of_user_code(error):
            raise
        print(f"openeaap-langchain-bridge: {error}", file=sys.stderr)
        return USAGE_EXIT
    return 0


def _is_of_user_code(error: BaseException) -> bool:
    """What the bridge itself raises says all there is to say; the user's own mistakes need their traceback."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is None or not trace.tb_frame.f_globals.get("__name__", "").startswith(("openeaap_langchain_bridge", "openeaap."))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="openeaap-langchain-bridge",
        description="Serves LangChain and LangGraph agents to an OpenEAAP platform.",
        epilog="The environment tells the rest: OPENEAAP_PLUGIN_LISTEN, OPENEAAP_PLUGIN_NAME, OPENEAAP_PLUGIN_TOKEN, OPENEAAP_PLUGIN_TLS_CERT, OPENEAAP_PLUGIN_TLS_KEY, OPENEAAP_PLUGIN_TLS_CLIENT_CA.",
    )
    parser.add_argument("--agents", metavar="FILE_OR_MODULE[:ATTRIBUTE]", action="append", required=True, help="where the agents are; may be given several times")
    parser.add_argument("--listen", metavar="ADDRESS", help="host:port or unix:/path; port 0 is any (OPENEAAP_PLUGIN_LISTEN)")
    parser.add_argument("--name", help="name of the plugin")
    return parser


if __name__ == "__main__":
    sys.exit(main())
