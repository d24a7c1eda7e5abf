from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator

_PIECES_WAITING = 256
"""More are joined: a slow reader gets the same text in fewer pieces, and emit never waits."""


class DeltaQueue:
    """Text from any thread, read on the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._pieces: deque[str] = deque()
        self._closed = False
        self._news = asyncio.Event()

    def put(self, text: str) -> None:
        # Half of a surrogate pair, which a model's stream may end a piece with, cannot be sent.
        text = text.encode("utf-8", "replace").decode("utf-8")
        with self._lock:
            if self._closed:
                return
            if len(self._pieces) >= _PIECES_WAITING:
                self._pieces[-1] += text
            else:
                self._pieces.append(text)
        self._wake()

    def close(self) -> None:
        with self._lock:
            self._closed = True
        self._wake()

    def _wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._news.set)
        except RuntimeError:
            # The loop is closed: the worker has ended, and so has whoever read.
            return

    async def __aiter__(self) -> AsyncIterator[str]:
        while True:
            self._news.clear()
            with self._lock:
                piece = self._pieces.popleft() if self._pieces else None
                closed = self._closed
            if piece is not None:
                yield piece
            elif closed:
                return
            else:
                await self._news.wait()
