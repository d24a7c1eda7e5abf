from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from openai import APIConnectionError, APIError, APIStatusError

from openeaap.sdk import ErrorCode, StepFailed

_TIMEOUT = 408
_TOO_MANY = 429
_SERVER_ERRORS = 500


@contextmanager
def model_errors() -> Iterator[None]:
    """What the client says of a model that did not answer, as what the platform does about it: try again, or give up."""
    try:
        yield
    except APIStatusError as error:
        message = f"The model gateway answered {error.status_code}: {_told(error)}"
        may_come_back = error.status_code in (_TIMEOUT, _TOO_MANY) or error.status_code >= _SERVER_ERRORS
        code = ErrorCode.MODEL_UNAVAILABLE if may_come_back else ErrorCode.MODEL_REJECTED
        raise StepFailed(code, message, retryable=may_come_back) from error
    except APIConnectionError as error:
        raise StepFailed(ErrorCode.MODEL_UNAVAILABLE, "The model gateway cannot be reached.", retryable=True) from error
    except (APIError, httpx.TransportError) as error:
        raise StepFailed(ErrorCode.MODEL_UNAVAILABLE, f"The answer of the model broke off: {error}", retryable=True) from error


def _told(error: APIStatusError) -> str:
    """The server's own words; the client's message is the whole answer."""
    told = error.body.get("message") if isinstance(error.body, dict) else None
    return told if isinstance(told, str) else "no message."
