"""A worker as a program of its own: one line on standard output, signals, and a drain."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import Protocol

DRAIN_SECONDS = 10.0


class Served(Protocol):
    async def start(self, listen: str | None = None, name: str | None = None) -> str: ...
    async def stop(self, grace: float = ...) -> None: ...


def serve_worker(worker: Served, announce: Callable[[str], None], listen: str | None = None, name: str | None = None) -> None:
    """Blocks until SIGTERM or SIGINT, then drains. Logs go to standard error."""
    if not logging.getLogger().handlers:
        logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(_serve(worker, announce, listen, name))


async def _serve(worker: Served, announce: Callable[[str], None], listen: str | None, name: str | None) -> None:
    stop = asyncio.Event()
    _on_signals(stop.set)
    address = await worker.start(listen, name)
    announce(json.dumps({"openeaap_plugin": 1, "listen": address}, separators=(",", ":"), ensure_ascii=False))
    await stop.wait()
    _on_signals(_end_now)
    await worker.stop(DRAIN_SECONDS)


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


def _end_now() -> None:
    """A second signal: whoever sent it has waited long enough."""
    os._exit(1)
