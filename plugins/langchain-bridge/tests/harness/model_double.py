"""An OpenAI-compatible model on loopback that answers as the test says. Speaks streaming and not."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "step-token-0123456789"


@dataclass
class Fault:
    status: int
    message: str = "no"
    code: str | None = None


@dataclass
class BrokenStream:
    """Sends this much text and hangs up."""

    text: str


def says(text: str, **extra: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **extra}


def calls(*wanted: tuple[str, str, Any], text: str = "") -> dict[str, Any]:
    """(id, tool, arguments); arguments that are text are sent as they are."""
    return {
        "role": "assistant",
        "content": text,
        "tool_calls": [{"id": id, "type": "function", "function": {"name": tool, "arguments": args if isinstance(args, str) else json.dumps(args)}} for id, tool, args in wanted],
    }


Reply = Any


@dataclass
class ModelDouble:
    url: str
    server: ThreadingHTTPServer
    requests: list[dict[str, Any]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    script: deque[Reply] = field(default_factory=deque)
    answer: Callable[[dict[str, Any]], Reply] | None = None
    hold: threading.Event | None = None

    def will(self, *replies: Reply) -> None:
        self.script.extend(replies)

    def reset(self) -> None:
        self.requests.clear()
        self.tokens.clear()
        self.script.clear()
        self.answer = None
        self.hold = None

    def next(self, body: dict[str, Any]) -> Reply:
        if self.script:
            return self.script.popleft()
        if self.answer is not None:
            return self.answer(body)
        return Fault(500, "The test has scripted no more replies.")

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def start_model_double() -> ModelDouble:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            double.requests.append(body)
            double.tokens.append(self.headers.get("authorization", ""))
            if double.hold is not None:
                double.hold.wait(20)
            reply = double.next(body)
            try:
                self._send(reply, body)
            except BrokenPipeError:
                # The bridge has left, which some tests are about.
                self.close_connection = True

        def _send(self, reply: Reply, body: dict[str, Any]) -> None:
            if isinstance(reply, Fault):
                self._json(reply.status, {"error": {"message": reply.message, "type": "error", "param": None, "code": reply.code}})
            elif isinstance(reply, BrokenStream):
                self._stream([_chunk({"role": "assistant", "content": reply.text})], end=False)
            elif body.get("stream"):
                self._stream(_chunks(reply), end=True)
            else:
                self._json(200, {"id": "c", "object": "chat.completion", "created": 1, "model": "double", "choices": [{"index": 0, "message": reply, "finish_reason": _finish(reply)}], "usage": _USAGE})

        def _json(self, status: int, value: Any) -> None:
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _stream(self, chunks: list[Any], end: bool) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for data in [*map(json.dumps, chunks), *(["[DONE]"] if end else [])]:
                line = f"data: {data}\n\n".encode()
                self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
                self.wfile.flush()
            if end:
                self.wfile.write(b"0\r\n\r\n")
            self.close_connection = not end

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    double = ModelDouble(f"http://127.0.0.1:{server.server_address[1]}/v1", server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return double


_USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


def _finish(reply: dict[str, Any]) -> str:
    return reply.get("finish_reason") or ("tool_calls" if reply.get("tool_calls") else "stop")


def _chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "double", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def _chunks(reply: dict[str, Any]) -> list[dict[str, Any]]:
    text = reply.get("content") or ""
    made = [_chunk({"role": "assistant", "content": ""})]
    made += [_chunk({"content": piece}) for piece in (text[at : at + 6] for at in range(0, len(text), 6))]
    for index, call in enumerate(reply.get("tool_calls", ())):
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        made.append(_chunk({"tool_calls": [{"index": index, "id": call["id"], "type": "function", "function": {"name": name, "arguments": ""}}]}))
        made += [_chunk({"tool_calls": [{"index": index, "function": {"arguments": part}}]}) for part in (arguments[:3], arguments[3:]) if part]
    made.append(_chunk({}, _finish(reply)))
    made.append({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "double", "choices": [], "usage": _USAGE})
    return made
