from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from openeaap.client.errors import OpenEAAPError, QuotaExceeded, Unavailable, Unreachable
from openeaap.client.event_stream import EventStreamParser, Message
from openeaap.client.operations import route
from openeaap.client.views import RunEvent

STREAM_IDLE_S = 45.0
"""The server sends a heartbeat each 15 s; three missed ones are a dead connection."""
_LOST_IN_A_ROW = 10
"""Tries that bring nothing before watching is given up: about two minutes."""
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 20.0
_HEALTHY_S = 10.0
"""A stream that lived this long was a good one, even if a proxy cut it without an event."""


class RunWatch:
    """The state of following one run over as many connections as it takes; does no I/O.

    Each numbered event comes once and in order. Previews of text (``step_delta``) have no number
    and may be lost with a connection.
    """

    def __init__(self, run_id: str, after: int, clock: Callable[[], float]) -> None:
        self.path = route("runs", run_id, "events")
        self.seq = after
        self.ended = False
        self._clock = clock
        self._failures = 0
        self._parser = EventStreamParser()
        self._opened_at = 0.0
        self._opened_seq = after

    def open(self) -> dict[str, str]:
        """Headers of the next connection."""
        self._parser = EventStreamParser()
        self._opened_at = self._clock()
        self._opened_seq = self.seq
        headers = {"accept": "text/event-stream"}
        return {**headers, "last-event-id": str(self.seq)} if self.seq > 0 else headers

    def feed(self, text: str) -> Iterator[RunEvent]:
        """The events in this text that are new. After the final one there is none."""
        for message in self._parser.feed(text):
            event = _to_event(message)
            if self.ended or (event.seq is not None and event.seq <= self.seq):
                continue
            self.seq = event.seq if event.seq is not None else self.seq
            self.ended = event.final
            yield event

    def wait_after(self, lost: OpenEAAPError | None) -> float:
        """Seconds until the next try. Raises what was lost when no try will cure it.

        None: the server ended the stream in good order, as it does with a reader that is too slow.
        """
        if lost is not None and not isinstance(lost, (Unreachable, Unavailable, QuotaExceeded)):
            raise lost
        healthy = self.seq > self._opened_seq or self._clock() - self._opened_at >= _HEALTHY_S
        self._failures = 1 if healthy else self._failures + 1
        if self._failures > _LOST_IN_A_ROW:
            raise lost or Unreachable("The server ends the event stream again and again before the run has ended.")
        return min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** (self._failures - 1))


def _to_event(message: Message) -> RunEvent:
    numbered = message.event != "step_delta" and message.id is not None and message.id.isascii() and message.id.isdigit()
    try:
        data = json.loads(message.data)
    except ValueError:
        data = message.data
    return RunEvent(seq=int(message.id or 0) if numbered else None, type=message.event, data=data)
