from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from openeaap.plugin.cancellation import Cancellation
from openeaap.plugin.daemon_pool import DaemonPool
from openeaap.plugin.slots import Slot
from openeaap.plugin.step_outcome import is_async


@dataclass(frozen=True)
class Step:
    """What the execution of one step needs besides its request."""

    pool: DaemonPool
    slot: Slot
    cancellation: Cancellation
    deadline: datetime | None
    max_response_bytes: int
    """What the platform said that it receives."""
    emit: Callable[[str], None] | None = None

    async def call(self, function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Async functions here, others in a thread."""
        if is_async(function):
            return await function(*args, **kwargs)
        self.slot.hold()

        def in_thread() -> Any:
            try:
                return function(*args, **kwargs)
            finally:
                self.slot.release()

        result = await self.pool.run(in_thread)
        return await result if inspect.isawaitable(result) else result


async def outcome_of(task: asyncio.Task[Any]) -> None:
    """Waits for the task to end, however it does; if the waiting is cancelled, so is the task."""
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        task.cancel()
        raise
