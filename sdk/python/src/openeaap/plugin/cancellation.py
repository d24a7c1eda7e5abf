from __future__ import annotations

import threading

from openeaap.plugin.step_failed import ErrorCode, StepFailed


class Cancellation:
    """Whether anybody still waits for a step. Set by the worker, asked from any thread."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        self._event.set()

    @property
    def cancelled(self) -> bool:
        return self._event.is_set()

    def wait(self, timeout: float | None) -> bool:
        return self._event.wait(timeout)

    def raise_if_cancelled(self) -> None:
        if self.cancelled:
            raise StepFailed(ErrorCode.CANCELLED, "The step was cancelled.")
