from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from typing import Any

from openeaap._proto import runtime_pb2 as pb
from openeaap.plugin.secrets import MissingSecret, Scrubber
from openeaap.plugin.step_failed import ErrorCode, StepFailed
from openeaap.plugin.wire import to_step_error

_MESSAGE_CHARS = 8_192


def failed_step(error: StepFailed, scrub: Scrubber) -> pb.ExecuteStepResponse:
    """The response of a step that failed: without the step's secrets, and not endless."""
    message = scrub(error.message).encode("utf-8", "replace").decode("utf-8")
    if len(message) > _MESSAGE_CHARS:
        message = message[:_MESSAGE_CHARS] + " …"
    return pb.ExecuteStepResponse(error=to_step_error(error, message))


def to_step_failed(what: str, error: BaseException, log: logging.LoggerAdapter[Any]) -> StepFailed:
    """Whatever the user's code raised, as an error that is safe to show.

    An exception's own text may hold anything, a URL with a key for one: it goes to the log,
    scrubbed of the step's secrets, and what is shown is the name of its type.
    """
    if isinstance(error, StepFailed):
        return error
    log.error("%s raised %s.", what, type(error).__name__, exc_info=error)
    if isinstance(error, MissingSecret):
        return StepFailed(ErrorCode.INTERNAL, f"{what}: {error}")
    return StepFailed(ErrorCode.INTERNAL, f"{what} raised {type(error).__name__}. The log of the worker says more.")


def is_async(function: Callable[..., Any]) -> bool:
    bare = getattr(function, "func", function)
    return inspect.iscoroutinefunction(bare) or inspect.iscoroutinefunction(getattr(bare, "__call__", None))


def without_exit(error: BaseException) -> bool:
    """Whether it is of the user's code; the cancellation of the step is not."""
    return not isinstance(error, (asyncio.CancelledError, GeneratorExit))
