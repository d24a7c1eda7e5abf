from __future__ import annotations

from enum import Enum


class ErrorCode(str, Enum):
    """Why a step failed; the closed set of the plugin protocol."""

    INVALID_INPUT = "INVALID_INPUT"
    """The request cannot be executed as it is: unknown tool, wrong arguments."""
    TOOL_FAILED = "TOOL_FAILED"
    """It certainly failed, and nothing was changed by it. Not repeated; the agent is told."""
    TOOL_UNAVAILABLE = "TOOL_UNAVAILABLE"
    """What the tool needs cannot be reached."""
    MODEL_UNAVAILABLE = "MODEL_UNAVAILABLE"
    """No model answered."""
    MODEL_INVALID_OUTPUT = "MODEL_INVALID_OUTPUT"
    """The model answered with nothing that can be used. The agent is shown this and asked again."""
    MODEL_REJECTED = "MODEL_REJECTED"
    """The model server refused the request."""
    CANCELLED = "CANCELLED"
    CONSTRAINT_VIOLATED = "CONSTRAINT_VIOLATED"
    """A constraint of the platform forbids it."""
    OVERLOADED = "OVERLOADED"
    """More steps are under way than the plugin wants."""
    INTERNAL = "INTERNAL"
    """Something else broke. Of a tool: whether it had its effect is not known."""

    def __str__(self) -> str:
        return self.value


class StepFailed(Exception):
    """Ends a step with an error that the platform understands.

    ``message`` is shown to users and to the model: no secrets, no stack. ``retryable`` promises
    that nothing was changed by this try, and that the same step may be tried again.
    """

    def __init__(self, code: ErrorCode | str, message: str, retryable: bool = False) -> None:
        super().__init__(message)
        self.code = ErrorCode(code)
        self.message = message
        self.retryable = retryable


class ToolError(StepFailed):
    """The tool certainly failed and changed nothing. Final: the agent is told, nobody tries again."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.TOOL_FAILED, message, retryable=False)


class ToolUnavailable(StepFailed):
    """What the tool needs cannot be reached, and nothing was changed: it may be tried again."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.TOOL_UNAVAILABLE, message, retryable=True)
