from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timezone

from openeaap.plugin.cancellation import Cancellation
from openeaap.plugin.secrets import Scrubber
from openeaap.plugin.step_log import StepLog


class ThinkContext:
    """What a think has besides its request: the way to its model, and to whoever watches.

    ``gateway_url`` is the base URL of an OpenAI-compatible API and ``model_token`` its key. The
    token is good for this step alone.
    """

    def __init__(
        self,
        *,
        gateway_url: str = "",
        model_token: str = "",
        trace_context: Mapping[str, str] | None = None,
        deadline: datetime | None = None,
        cancellation: Cancellation | None = None,
        emit: Callable[[str], None] | None = None,
        run_id: str = "",
        step_id: str = "",
        agent: str = "",
    ) -> None:
        self.gateway_url = gateway_url
        self.model_token = model_token
        self.trace_context = dict(trace_context or {})
        self.deadline = deadline
        """In UTC; None: there is none."""
        self._cancellation = cancellation or Cancellation()
        self._emit = emit
        self.log = StepLog(
            logging.getLogger(f"openeaap.agent.{agent}" if agent else "openeaap.agent"),
            {"run_id": run_id, "step_id": step_id},
            Scrubber({"model_token": model_token}),
        )

    def emit(self, text: str) -> None:
        """Shows text as it is produced: a preview, never stored. From any thread; never waits."""
        if self._emit is not None and text:
            self._emit(text)

    @property
    def cancelled(self) -> bool:
        """Nobody waits for the result any more."""
        return self._cancellation.cancelled

    def raise_if_cancelled(self) -> None:
        self._cancellation.raise_if_cancelled()

    def wait_cancelled(self, timeout: float | None = None) -> bool:
        """Waits at most ``timeout`` seconds; True as soon as the step is cancelled."""
        return self._cancellation.wait(timeout)

    def seconds_left(self) -> float | None:
        """Until the deadline, never below 0; None: there is none."""
        if self.deadline is None:
            return None
        return max(0.0, (self.deadline - datetime.now(timezone.utc)).total_seconds())

    def __repr__(self) -> str:
        return f"ThinkContext(gateway_url={self.gateway_url!r}, model_token=[secret])"
