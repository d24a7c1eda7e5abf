from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Lineage:
    """A piece of knowledge that a result was made from."""

    chunk_id: str
    title: str = ""
    source: str = ""
    score: float = 0.0


@dataclass(frozen=True)
class ToolResult:
    """What a tool returns that has more to say than its output."""

    output: Any
    lineage: Sequence[Lineage] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
