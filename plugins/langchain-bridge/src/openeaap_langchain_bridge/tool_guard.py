from __future__ import annotations

import time
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from openeaap.sdk import StepFailed, ToolCallLog

from openeaap_langchain_bridge.journal import text_of
from openeaap_langchain_bridge.think_scope import ThinkScope

_LOGGED_CHARS = 4_096


class ToolGuard(BaseCallbackHandler):
    """Sees each tool that an agent starts by itself: writes down those that may, stops the others before they run."""

    raise_error = True
    run_inline = True

    def __init__(self, scope: ThinkScope) -> None:
        self._scope = scope
        self._started: dict[UUID, tuple[str, Any, float]] = {}

    def on_tool_start(self, serialized: dict[str, Any] | None, input_str: str, *, run_id: UUID, inputs: dict[str, Any] | None = None, **_: Any) -> None:
        name = str((serialized or {}).get("name", "?"))
        if name not in self._scope.in_graph:
            self._scope.outside = name
            raise outside_the_platform(name)
        self._started[run_id] = (name, inputs if inputs is not None else input_str, time.time())

    def on_tool_end(self, output: Any, *, run_id: UUID, **_: Any) -> None:
        self._end(run_id, output, "done")

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        self._end(run_id, type(error).__name__, "failed")

    def _end(self, run_id: UUID, output: Any, status: Any) -> None:
        if run_id not in self._started:
            return
        name, given, started = self._started.pop(run_id)
        entry = ToolCallLog(
            id=str(run_id),
            tool=name,
            input=text_of(given if isinstance(given, str) else str(given))[:_LOGGED_CHARS],
            output=str(getattr(output, "content", output))[:_LOGGED_CHARS],
            status=status,
            started_at_unix_ms=int(started * 1_000),
            duration_ms=int((time.time() - started) * 1_000),
        )
        with self._scope.lock:
            self._scope.calls_made.append(entry)


def outside_the_platform(tool: str) -> StepFailed:
    return StepFailed("INTERNAL", f"The agent runs the tool {tool} by itself, past the platform. Call it in a ToolNode, or by ctx.propose({tool}), or name it in in_graph if it changes nothing but the graph's state.")
