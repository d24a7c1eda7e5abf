"""An HTTP server on loopback that answers what a test says, in order."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Answer:
    status: int = 200
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    """The connection breaks before the body is whole."""


@dataclass
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: str


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, json.dumps(value), {"content-type": "application/json", **(headers or {})})


def problem(status: int, code: str, headers: Mapping[str, str] | None = None, **more: Any) -> Answer:
    body = {"type": f"urn:openeaap:error:{code}", "title": code, "status": status, "code": code, "detail": f"It is {code}.", "instance": "/", "trace_id": "t", **more}
    return Answer(status, json.dumps(body), {"content-type": "application/problem+json", **(headers or {})})


def stream_answer(text: str, cut: bool = False) -> Answer:
    return Answer(200, text, {"content-type": "text/event-stream; charset=utf-8"}, cut)


@contextmanager
def scripted(*answers: Answer) -> Iterator[tuple[str, list[Asked]]]:
    left = list(answers)
    asked: list[Asked] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            length = int(self.headers.get("content-length", 0))
            asked.append(Asked(self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, self.rfile.read(length).decode()))
            answer = left.pop(0) if left else problem(500, "internal")
            content = answer.body.encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content) + (10 if answer.cut else 0)))
            self.send_header("connection", "close")
            self.end_headers()
            self.wfile.write(content)
            self.close_connection = True

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
