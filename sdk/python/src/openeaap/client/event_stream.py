from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from openeaap.client.errors import BadResponse

_BUFFER_CHARS = 8_388_608
"""Above any event: a tool result is cut at 64 KiB and a model's reply at 1 MiB."""


@dataclass(frozen=True)
class Message:
    event: str
    data: str
    id: str | None


class EventStreamParser:
    """Server-sent events from text as it comes (WHATWG HTML, section 9.2.6)."""

    def __init__(self) -> None:
        self._rest = ""
        self._after_return = False
        self._lines: list[str] = []
        self._chars = 0

    def feed(self, text: str) -> Iterator[Message]:
        """The messages that this text completes."""
        if self._after_return and text:
            # A line may end in CR LF, and the two may come apart.
            text = text.removeprefix("\n")
            self._after_return = False
        if not text:
            return
        self._after_return = text.endswith("\r")
        lines = (self._rest + text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._rest = lines.pop()
        for line in lines:
            self._chars += len(line)
            if line:
                self._lines.append(line)
                continue
            message = self._finish()
            if message is not None:
                yield message
        if len(self._rest) + self._chars > _BUFFER_CHARS:
            raise BadResponse(f"An event of the stream is longer than {_BUFFER_CHARS} characters.")

    def _finish(self) -> Message | None:
        lines, self._lines, self._chars = self._lines, [], 0
        event, data, id = "message", [], None
        for line in lines:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "event":
                event = value
            elif name == "data":
                data.append(value)
            elif name == "id" and "\0" not in value:
                id = value
        return Message(event, "\n".join(data), id) if data else None
