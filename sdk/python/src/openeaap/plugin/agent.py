from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Union

from openeaap.plugin.docstring import parse_docstring
from openeaap.plugin.think import Proposal, ThinkRequest, ThinkResult
from openeaap.plugin.think_context import ThinkContext

Thought = Union[ThinkResult, Proposal]
Think = Callable[[ThinkRequest, ThinkContext], Union[Thought, Awaitable[Thought]]]

NAME_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_REASONING_MODES = ("react", "cot", "tot")


@dataclass(frozen=True)
class Agent:
    """An agent that a worker hosts. An agent of the platform names it as its ``entrypoint``.

    ``think`` gets the run so far and proposes; it may be async. Without ``reasoning_modes`` it has
    a way of its own.
    """

    name: str
    think: Think
    description: str = ""
    reasoning_modes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not NAME_PATTERN.fullmatch(self.name):
            raise ValueError(f"The agent name {self.name!r} is none: use 1 to 64 letters, digits, _ and -.")
        if not callable(self.think):
            raise TypeError(f"Agent {self.name}: think must be a function of (request, ctx), not {type(self.think).__name__}.")
        object.__setattr__(self, "reasoning_modes", tuple(self.reasoning_modes))
        for mode in self.reasoning_modes:
            if mode not in _REASONING_MODES:
                raise ValueError(f"Agent {self.name}: reasoning mode {mode!r} is none of {', '.join(_REASONING_MODES)}.")


def agent(
    *, name: str | None = None, description: str | None = None, reasoning_modes: Iterable[str] = ()
) -> Callable[[Think], Agent]:
    """Makes an Agent of a think function; name and description default to the function's."""

    def make(think: Think) -> Agent:
        return Agent(
            name=name or str(getattr(think, "__name__", "")),
            think=think,
            description=parse_docstring(think.__doc__).summary if description is None else description,
            reasoning_modes=tuple(reasoning_modes),
        )

    return make
