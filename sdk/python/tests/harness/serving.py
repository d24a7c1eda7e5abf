"""A Worker of the test's own, over real gRPC, with its loop in a thread."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from openeaap._proto import runtime_pb2 as pb
from openeaap._proto import runtime_pb2_grpc as pb_grpc
from openeaap.sdk import Worker


class Serving:
    def __init__(self, stub: pb_grpc.RuntimeServiceStub, loop: asyncio.AbstractEventLoop, worker: Worker) -> None:
        self.stub = stub
        self.loop = loop
        self.worker = worker

    def call(self, tool: str, args: Any = None, *, timeout: float = 10, **fields: Any) -> pb.ExecuteStepResponse:
        """One tool step."""
        payload = args if isinstance(args, str) else json.dumps({} if args is None else args)
        response: pb.ExecuteStepResponse = self.stub.ExecuteStep(tool_step(tool, payload, **fields), timeout=timeout)
        return response

    def think(self, input: Any = None, *, timeout: float = 10, **fields: Any) -> pb.ExecuteStepResponse:
        request = pb.ExecuteStepRequest(kind=pb.STEP_KIND_THINK, input_payload=json.dumps(input), step_no=1, **fields)
        response: pb.ExecuteStepResponse = self.stub.ExecuteStep(request, timeout=timeout)
        return response

    def output(self, tool: str, args: Any = None, **fields: Any) -> Any:
        """The result of a call that must succeed."""
        response = self.call(tool, args, **fields)
        assert not response.HasField("error"), response.error
        return json.loads(response.output_payload)

    def error(self, tool: str, args: Any = None, **fields: Any) -> tuple[str, str, bool]:
        """Code, message and retryable of a call that must fail."""
        return told(self.call(tool, args, **fields))


def told(response: pb.ExecuteStepResponse) -> tuple[str, str, bool]:
    assert response.HasField("error"), response
    return pb.ErrorCode.Name(response.error.code).removeprefix("ERROR_CODE_"), response.error.message, response.error.retryable


def tool_step(tool: str, payload: str = "{}", **fields: Any) -> pb.ExecuteStepRequest:
    return pb.ExecuteStepRequest(kind=pb.STEP_KIND_TOOL, tool=tool, input_payload=payload, step_no=1, **fields)


@contextmanager
def serving(worker: Worker) -> Iterator[Serving]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        address = asyncio.run_coroutine_threadsafe(worker.start("127.0.0.1:0"), loop).result(10)
        with grpc.insecure_channel(address) as channel:
            yield Serving(pb_grpc.RuntimeServiceStub(channel), loop, worker)
    finally:
        asyncio.run_coroutine_threadsafe(worker.stop(0), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
