from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from openeaap_langchain_bridge.hosted_agent import HostedAgent, collecting, host

_COUNTS = "What counts: host(\"name\", build) in the file, or an attribute that is such an agent, a list of them, or an object of name to build function."


class AgentsError(Exception):
    """There is nothing to host; the message says what was looked for and what would count."""


def load_agents(target: str) -> list[HostedAgent]:
    """The agents that `module`, `file.py`, or either with `:attribute` means. The file is run.

    Raises AgentsError; what the file itself raises goes through.
    """
    place, attribute = _split(target)
    with collecting() as collected:
        module = _load(place)
        if attribute is None:
            agents = list({id(agent): agent for agent in collected}.values()) or _of(list(vars(module).values()))
        else:
            agents = _of(_attribute(module, attribute, target))
    if not agents:
        raise AgentsError(f"{target!r} ({getattr(module, '__file__', None) or 'a package'}) hosts no agent. {_COUNTS}")
    return agents


def _split(target: str) -> tuple[str, str | None]:
    place, colon, attribute = target.rpartition(":")
    # C:\agents.py has a colon of its own.
    if not colon or os.sep in attribute or "\\" in attribute:
        place, attribute = target, ""
    if not place or (colon and place != target and not attribute):
        raise AgentsError(f"{target!r} names no agents. Write it like agents.py, my.package.agents, or either with :attribute.")
    return place, attribute or None


def _load(place: str) -> ModuleType:
    if place.endswith(".py") or os.sep in place:
        return _load_file(Path(place))
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        # A module that the user's file imports and that is missing is that file's own trouble.
        if error.name is None or not (place == error.name or place.startswith(f"{error.name}.")):
            raise
        raise AgentsError(f"There is no module {error.name!r}: looked in {os.getcwd()} and the {len(sys.path)} places of sys.path. Start the bridge where it lies, install it into {sys.prefix}, or name the file (agents.py).") from error


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise AgentsError(f"There is no file {path} (looked in {os.getcwd()}).")
    # As `python agents.py` does: what lies beside the file can be imported.
    sys.path.insert(0, str(path.resolve().parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise AgentsError(f"{path} is no Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _attribute(module: ModuleType, path: str, target: str) -> Any:
    found: Any = module
    for part in path.split("."):
        if not hasattr(found, part):
            raise AgentsError(f"{target!r}: there is no {part!r} in {getattr(found, '__name__', type(found).__name__)}. {_COUNTS}")
        found = getattr(found, part)
    return found


def _of(found: Any) -> list[HostedAgent]:
    if isinstance(found, HostedAgent):
        return [found]
    if isinstance(found, Mapping):
        return [value if isinstance(value, HostedAgent) else host(str(name), value) for name, value in found.items()]
    if isinstance(found, Sequence) and not isinstance(found, str):
        return [each for each in found if isinstance(each, HostedAgent)]
    return []
