from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType
from typing import Any

from openeaap.plugin.agent import Agent
from openeaap.plugin.tool import Tool
from openeaap.plugin.worker import Worker

_COUNTS = "What counts: a Worker, tools made by @tool, agents made by @agent, or a list of them."


class TargetError(Exception):
    """The target names nothing that can be served; the message says what would."""


def load_worker(target: str) -> Worker:
    """The worker that ``module`` or ``module:attribute`` means. The module is imported.

    Raises TargetError; what the module itself raises goes through.
    """
    name, colon, path = target.partition(":")
    if not name or (colon and not path):
        raise TargetError(f"{target!r} is no target. Write it like my_tools or my_tools:worker.")
    found: Any = _import(name)
    for part in path.split(".") if path else ():
        found = _attribute(found, part, target)
    return _as_worker(found, target, own_name=name.rpartition(".")[2])


def _import(name: str) -> ModuleType:
    if name.endswith(".py") or os.sep in name:
        module = name.removesuffix(".py").strip(os.sep).replace(os.sep, ".")
        raise TargetError(f"{name!r} is a file; name the module as Python imports it, like {module}.")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # A module that the target imports and that is missing is the target's own trouble.
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise
        here = os.getcwd()
        raise TargetError(f"There is no module {error.name!r}. Looked in {here} and the {len(sys.path)} places of sys.path. Start the worker where {error.name.partition('.')[0]}.py lies, or install its package into this environment ({sys.prefix}).") from error


def _attribute(found: Any, part: str, target: str) -> Any:
    if hasattr(found, part):
        return getattr(found, part)
    names = [name for name, value in vars(found).items() if _serves(value)] if hasattr(found, "__dict__") else []
    has = f" It has {', '.join(sorted(names))}." if names else f" {_COUNTS}"
    raise TargetError(f"{target!r}: there is no {part!r} in {getattr(found, '__name__', type(found).__name__)}.{has}")


def _as_worker(found: Any, target: str, own_name: str) -> Worker:
    if isinstance(found, ModuleType):
        return _of_module(found, target, own_name)
    if isinstance(found, Worker):
        return found if found.name else _named(found, own_name)
    if isinstance(found, (Tool, Agent)):
        return _of_things([found], own_name)
    if isinstance(found, (list, tuple, set, frozenset)):
        strangers = [thing for thing in found if not isinstance(thing, (Tool, Agent))]
        if found and not strangers:
            return _of_things(list(found), own_name)
        what = f"holds {strangers[0]!r}, which is neither" if strangers else "is empty"
        raise TargetError(f"{target!r} {what}. {_COUNTS}")
    hint = " Is @tool missing above it?" if callable(found) else ""
    raise TargetError(f"{target!r} is a {type(found).__name__}.{hint} {_COUNTS}")


def _of_module(module: ModuleType, target: str, own_name: str) -> Worker:
    workers = _distinct(value for value in vars(module).values() if isinstance(value, Worker))
    if len(workers) == 1:
        return workers[0] if workers[0].name else _named(workers[0], own_name)
    if len(workers) > 1:
        names = sorted(name for name, value in vars(module).items() if isinstance(value, Worker))
        raise TargetError(f"{target!r} has several workers. Name one: {' or '.join(f'{target}:{name}' for name in names)}.")
    things = _distinct(value for value in vars(module).values() if isinstance(value, (Tool, Agent)))
    if not things:
        raise TargetError(f"{target!r} ({getattr(module, '__file__', None) or 'a package'}) has no tool and no agent. {_COUNTS}")
    return _of_things(things, own_name)


def _of_things(things: list[Any], own_name: str) -> Worker:
    return Worker(
        tools=[thing for thing in things if isinstance(thing, Tool)],
        agents=[thing for thing in things if isinstance(thing, Agent)],
        name=own_name,
    )


def _named(worker: Worker, name: str) -> Worker:
    return Worker(worker.tools, worker.agents, name, worker.version, worker.max_concurrent_steps)


def _serves(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return bool(value) and all(isinstance(thing, (Tool, Agent)) for thing in value)
    return isinstance(value, (Worker, Tool, Agent))


def _distinct(values: Any) -> list[Any]:
    return list({id(value): value for value in values}.values())
