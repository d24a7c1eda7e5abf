from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from typing import Any

import grpc

from openeaap._proto import runtime_pb2 as pb
from openeaap._proto import runtime_pb2_grpc as pb_grpc
from openeaap.plugin.cancellation import Cancellation
from openeaap.plugin.daemon_pool import DaemonPool
from openeaap.plugin.delta_queue import DeltaQueue
from openeaap.plugin.execute_think import execute_think
from openeaap.plugin.execute_tool import execute_tool
from openeaap.plugin.offer import Offer, to_handshake
from openeaap.plugin.slots import Slots
from openeaap.plugin.step import Step, outcome_of

_DEFAULT_MESSAGE_BYTES = 4 * 1024 * 1024
"""What a peer receives that does not say: the default of gRPC."""

_EXECUTE: dict[int, Callable[[Offer, pb.ExecuteStepRequest, Step], Awaitable[pb.ExecuteStepResponse]]] = {
    pb.STEP_KIND_THINK: execute_think,
    pb.STEP_KIND_TOOL: execute_tool,
}


class RuntimeServicer(pb_grpc.RuntimeServiceServicer):
    """The four calls of the protocol. Of a run it remembers nothing."""

    def __init__(self, offer: Offer) -> None:
        self._offer = offer
        self._slots = Slots(offer.max_concurrent_steps)
        self._pool = DaemonPool("openeaap-step")
        self._tasks: set[asyncio.Task[pb.ExecuteStepResponse]] = set()
        self._peer_receives_bytes = _DEFAULT_MESSAGE_BYTES
        self._draining = False

    async def Handshake(self, request: pb.HandshakeRequest, context: Any) -> pb.HandshakeResponse:
        self._peer_receives_bytes = request.max_message_bytes or _DEFAULT_MESSAGE_BYTES
        return to_handshake(self._offer, request)

    async def HealthCheck(self, request: pb.HealthCheckRequest, context: Any) -> pb.HealthCheckResponse:
        if self._draining:
            return pb.HealthCheckResponse(serving=False, detail="The worker is stopping.")
        return pb.HealthCheckResponse(serving=True, detail=f"{self._slots.taken} of {self._slots.limit} steps under way")

    async def ExecuteStep(self, request: pb.ExecuteStepRequest, context: Any) -> pb.ExecuteStepResponse:
        async with self._started(request, context, None) as task:
            await outcome_of(task)
            return _response_of(task)

    async def ExecuteStepStream(self, request: pb.ExecuteStepRequest, context: Any) -> AsyncIterator[pb.ExecuteStepEvent]:
        deltas = DeltaQueue(asyncio.get_running_loop())
        async with self._started(request, context, deltas.put) as task:
            task.add_done_callback(lambda _: deltas.close())
            async for text in deltas:
                yield pb.ExecuteStepEvent(delta=text)
            await outcome_of(task)
            yield pb.ExecuteStepEvent(response=_response_of(task))

    def begin_drain(self) -> None:
        self._draining = True

    def close(self) -> int:
        """Cancels what is still under way. Returns how many steps there were."""
        left = self._slots.taken
        for task in self._tasks:
            task.cancel()
        self._pool.close()
        return left

    @asynccontextmanager
    async def _started(
        self, request: pb.ExecuteStepRequest, context: Any, emit: Callable[[str], None] | None
    ) -> AsyncIterator[asyncio.Task[pb.ExecuteStepResponse]]:
        """The step as a task that ends when its call does."""
        execute = _EXECUTE.get(request.kind)
        if execute is None:
            told = f"kind: {request.kind} is no kind of step that this worker knows; it knows STEP_KIND_THINK and STEP_KIND_TOOL."
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, told)
            raise AssertionError("abort raises")
        slot = self._slots.take()
        if slot is None:
            task = asyncio.ensure_future(_overloaded(self._slots.limit))
            yield task
            return
        cancellation = Cancellation()
        step = Step(
            pool=self._pool,
            slot=slot,
            cancellation=cancellation,
            deadline=_deadline_of(context),
            max_response_bytes=self._peer_receives_bytes,
            emit=emit,
        )
        task = asyncio.ensure_future(execute(self._offer, request, step))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: slot.release())
        try:
            yield task
        finally:
            # Reached by the end of the step as well; then nobody is left to notice.
            cancellation.cancel()
            task.cancel()


def _response_of(task: asyncio.Task[pb.ExecuteStepResponse]) -> pb.ExecuteStepResponse:
    if task.cancelled():
        # Not by the platform, or nobody would be here: the user's code cancelled itself.
        return pb.ExecuteStepResponse(error=pb.StepError(code=pb.ERROR_CODE_CANCELLED, message="The step cancelled itself."))
    error = task.exception()
    if error is None:
        return task.result()
    logging.getLogger("openeaap.worker").error("The worker itself broke: %s", type(error).__name__, exc_info=error)
    return pb.ExecuteStepResponse(error=pb.StepError(code=pb.ERROR_CODE_INTERNAL, message=f"The worker broke ({type(error).__name__})."))


async def _overloaded(limit: int) -> pb.ExecuteStepResponse:
    return pb.ExecuteStepResponse(
        error=pb.StepError(code=pb.ERROR_CODE_OVERLOADED, message=f"{limit} steps are under way, and the worker takes no more at once.", retryable=True)
    )


def _deadline_of(context: Any) -> datetime | None:
    left = context.time_remaining()
    return None if left is None else datetime.now(timezone.utc) + timedelta(seconds=max(0.0, left))
