from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timezone

from openeaap.plugin.cancellation import Cancellation
from openeaap.plugin.secrets import Scrubber, Secrets
from openeaap.plugin.step_log import StepLog
from openeaap.plugin.think import Principal


class ToolContext:
    """The step that a tool is called for. In a test: ``ToolContext(secrets={"KEY": "..."})``."""

    def __init__(
        self,
        *,
        secrets: Mapping[str, str] | None = None,
        idempotency_key: str = "",
        run_id: str = "",
        step_id: str = "",
        step_no: int = 0,
        tenant_id: str = "",
        agent_id: str = "",
        tool: str = "",
        principal: Principal | None = None,
        dry_run: bool = False,
        trace_context: Mapping[str, str] | None = None,
        deadline: datetime | None = None,
        cancellation: Cancellation | None = None,
    ) -> None:
        self.secrets = secrets if isinstance(secrets, Secrets) else Secrets(secrets)
        self.idempotency_key = idempotency_key
        """The same for each try of one step: pass it on to the product that does the work."""
        self.run_id = run_id
        self.step_id = step_id
        self.step_no = step_no
        self.tenant_id = tenant_id
        self.agent_id = agent_id
        self.tool = tool
        self.principal = principal or Principal()
        self.dry_run = dry_run
        """Nothing in the world may change: say what would be done."""
        self.trace_context = dict(trace_context or {})
        """W3C headers (traceparent, tracestate) to pass on."""
        self.deadline = deadline
        """In UTC; None: there is none."""
        self._cancellation = cancellation or Cancellation()
        self.log = StepLog(
            logging.getLogger(f"openeaap.tool.{tool}" if tool else "openeaap.tool"),
            {"run_id": run_id, "step_id": step_id},
            Scrubber(self.secrets),
        )

    @property
    def cancelled(self) -> bool:
        """Nobody waits for the result any more."""
        return self._cancellation.cancelled

    def raise_if_cancelled(self) -> None:
        """Ends the step here if it was cancelled. For loops of tools that are not async."""
        self._cancellation.raise_if_cancelled()

    def wait_cancelled(self, timeout: float | None = None) -> bool:
        """Waits at most ``timeout`` seconds; True as soon as the step is cancelled.

        In place of time.sleep in a tool that is not async. An async tool needs none of this: it is
        cancelled where it awaits.
        """
        return self._cancellation.wait(timeout)

    def seconds_left(self) -> float | None:
        """Until the deadline, never below 0; None: there is none."""
        if self.deadline is None:
            return None
        return max(0.0, (self.deadline - datetime.now(timezone.utc)).total_seconds())

    def __repr__(self) -> str:
        return f"ToolContext(tool={self.tool!r}, run_id={self.run_id!r}, step_id={self.step_id!r}, secrets={self.secrets!r})"
