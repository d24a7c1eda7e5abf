"""A worker as a program of its own: one line on standard output, signals, and a drain."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Protocol

DRAIN_SECONDS = 10.0
LEFT_SECONDS = 2.0
"""What code that does not heed its cancellation may take besides."""


class Served(Protocol):
    async def start(self, listen: str | None = None, name: str | None = None) -> str: ...
    async def stop(self, grace: float = ...) -> None: ...


def serve_worker(worker: Served, announce: Callable[[str], None], listen: str | None = None, name: str | None = None) -> None:
    """Blocks until SIGTERM or SIGINT, then drains. Logs go to standard error."""
    if not logging.getLogger().handlers:
        # Not INFO for all: HTTP clients write whole URLs there, with the keys in them.
        logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        logging.getLogger("openeaap").setLevel(logging.INFO)
    leaving = asyncio.run(_serve(worker, announce, listen, name))
    leaving.cancel()


def leave_soon() -> threading.Timer:
    """Ends the process in a moment, with 0, whatever still runs in it; unless it is cancelled.

    The end of a loop waits for its tasks and its executor, that of the interpreter for its
    threads, and a tool that hangs there would turn the drain into a hang.
    """
    timer = threading.Timer(LEFT_SECONDS, _leave)
    timer.daemon = True
    timer.start()
    return timer


async def _serve(
    worker: Served, announce: Callable[[str], None], listen: str | None, name: str | None
) -> threading.Timer:
    stop = asyncio.Event()
    _on_signals(stop.set)
    address = await worker.start(listen, name)
    announce(json.dumps({"openeaap_plugin": 1, "listen": address}, separators=(",", ":"), ensure_ascii=False))
    await stop.wait()
    _on_signals(_end_now)
    await worker.stop(DRAIN_SECONDS)
    return leave_soon()


def take_stdout() -> Callable[[str], None]:
    """Standard output is for one line. What user code prints, at whatever depth, goes to stderr."""
    sys.stdout.flush()
    try:
        ours = os.dup(1)
        os.dup2(2, 1)
    except OSError:
        # Without the usual descriptors (an embedding program, a closed stdout) there is only this.
        return lambda line: print(line, flush=True)

    def announce(line: str) -> None:
        try:
            os.write(ours, f"{line}\n".encode())
        except BrokenPipeError:
            logging.getLogger("openeaap.worker").warning("Nobody reads the line on standard output.")

    return announce


def _on_signals(react: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, react)
        except (NotImplementedError, RuntimeError, ValueError):
            # Windows, or not the main thread: there the default stays, which ends the process.
            return


def _leave() -> None:
    logging.getLogger("openeaap.worker").warning("Code that does not heed its cancellation was left behind.")
    os._exit(0)


def _end_now() -> None:
    """A second signal: whoever sent it has waited long enough."""
    os._exit(1)
