from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class DaemonPool:
    """Threads for code that is not async.

    Unlike those of concurrent.futures they do not keep the process from ending: a tool that hangs
    must not turn a drain into a hang. How many run at once is bounded by who calls (the slots of
    the servicer), so a thread is made whenever none is idle.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0
        self._made = 0

    def run(self, function: Callable[[], T]) -> asyncio.Future[T]:
        """Runs it in a thread. Cancelling the future does not stop the thread: nothing can."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def work() -> None:
            try:
                result = function()
            except BaseException as error:  # noqa: BLE001 - whatever it is belongs to the caller
                _tell(loop, future, None, error)
            else:
                _tell(loop, future, result, None)

        with self._lock:
            if self._idle > 0:
                self._idle -= 1
            else:
                self._made += 1
                threading.Thread(target=self._serve, name=f"{self._name}-{self._made}", daemon=True).start()
        self._work.put(work)
        return future

    def close(self) -> None:
        """Idle threads end now, busy ones when they are done."""
        with self._lock:
            for _ in range(self._made):
                self._work.put(None)
            self._made = 0

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            work()
            # Dropped before waiting: a result must not live until the next step.
            del work
            with self._lock:
                self._idle += 1


def _tell(loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    def settle() -> None:
        if future.cancelled():
            return
        if error is None:
            future.set_result(result)
        elif isinstance(error, (StopIteration, SystemExit, KeyboardInterrupt, asyncio.CancelledError)):
            # Futures cannot carry these, or would end the loop with them.
            carried = RuntimeError(f"{type(error).__name__} was raised")
            carried.__cause__ = error
            future.set_exception(carried)
        else:
            future.set_exception(error)

    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:
        # The loop is closed: nobody waits for the result any more.
        return
