from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class OpenEAAPError(Exception):
    """Whatever goes wrong between a client and the platform. ``cure`` is what can be done."""

    code = "internal"

    def __init__(self, message: str, *, cure: str | None = None) -> None:
        super().__init__(message if cure is None else f"{message} {cure}")
        self.message = message
        self.cure = cure


class NotConnected(OpenEAAPError):
    """No server is known, or what was given cannot be used."""

    code = "usage"


class Unreachable(OpenEAAPError):
    """No answer, or it broke off. A request that writes may have arrived nevertheless."""

    code = "unreachable"


class BadResponse(OpenEAAPError):
    """The answer is none of OpenEAAP's. Is this its address?"""

    code = "bad_response"


class ApiError(OpenEAAPError):
    """The platform's own answer: ``application/problem+json`` with a stable ``code``.

    ``field`` is the path of the field that is wrong; ``details`` holds all that was said besides.
    """

    def __init__(self, code: str, message: str, status: int, *, field: str | None = None, cure: str | None = None, trace_id: str | None = None, retry_after_s: float | None = None, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"{field}: {message}" if field and field not in message else message, cure=cure)
        self.code = code
        self.message = message
        self.status = status
        self.field = field
        self.trace_id = trace_id
        self.retry_after_s = retry_after_s
        self.details = dict(details or {})


class InvalidInput(ApiError):
    """``invalid_input``: the request breaks a rule of its schema."""


class PayloadTooLarge(ApiError):
    """``payload_too_large``"""


class Unauthenticated(ApiError):
    """``unauthenticated``: no key, or one that is not known."""


class PermissionDenied(ApiError):
    """``permission_denied``: the key lacks a scope, or the thing belongs to somebody else."""


class NotFound(ApiError):
    """``not_found``"""


class Gone(ApiError):
    """``gone``: it was there and was archived."""


class Conflict(ApiError):
    """``conflict``: it is not in a state that allows this."""


class IdempotencyMismatch(ApiError):
    """``idempotency_mismatch``: the key was used before with another request."""


class AlreadyDecided(ApiError):
    """``already_decided``: somebody decided first; ``details`` says who and when."""


class HashMismatch(ApiError):
    """``hash_mismatch``: the call that waits is not the one that you saw."""


class PolicyDenied(ApiError):
    """``policy_denied``"""


class QuotaExceeded(ApiError):
    """``quota_exceeded``: try again after ``retry_after_s``."""


class Unavailable(ApiError):
    """``unavailable``: the platform, or its database, is out of reach for now."""


class RunNotCompleted(OpenEAAPError):
    """``Run.result()`` of a run that has no output; ``code`` is the run's own error."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


ERROR_OF_CODE: Mapping[str, type[ApiError]] = {
    "invalid_input": InvalidInput,
    "payload_too_large": PayloadTooLarge,
    "unauthenticated": Unauthenticated,
    "permission_denied": PermissionDenied,
    "not_found": NotFound,
    "gone": Gone,
    "conflict": Conflict,
    "idempotency_mismatch": IdempotencyMismatch,
    "already_decided": AlreadyDecided,
    "hash_mismatch": HashMismatch,
    "policy_denied": PolicyDenied,
    "quota_exceeded": QuotaExceeded,
    "unavailable": Unavailable,
}

_CODE_OF_STATUS = {
    400: "invalid_input",
    401: "unauthenticated",
    403: "permission_denied",
    404: "not_found",
    409: "conflict",
    410: "gone",
    413: "payload_too_large",
    429: "quota_exceeded",
    502: "unavailable",
    503: "unavailable",
    504: "unavailable",
}
_SAID = {"type", "title", "status", "code", "detail", "instance", "field", "cure", "trace_id"}


def to_api_error(status: int, headers: Mapping[str, str], body: Any) -> OpenEAAPError:
    """An answer that is no success. ``body`` is None when it was not JSON: a proxy in between."""
    problem: dict[str, Any] = body if isinstance(body, dict) else {}
    code = problem.get("code") or _CODE_OF_STATUS.get(status)
    message = problem.get("detail") or problem.get("title") or f"The server answered HTTP {status}."
    if code is None:
        return BadResponse(message, cure="Is this the address of an OpenEAAP server?")
    return ERROR_OF_CODE.get(code, ApiError)(
        code,
        message,
        status,
        field=problem.get("field"),
        cure=problem.get("cure") or _cure(code, problem),
        trace_id=problem.get("trace_id"),
        retry_after_s=_seconds(headers.get("retry-after")),
        details={name: value for name, value in problem.items() if name not in _SAID},
    )


def _cure(code: str, problem: Mapping[str, Any]) -> str | None:
    if code == "unauthenticated":
        return "Give a key: Client(api_key=...) or OPENEAAP_API_KEY."
    if code == "permission_denied" and isinstance(problem.get("scope"), str):
        return f"Use a key that has the scope {problem['scope']}."
    if code == "hash_mismatch":
        return "Get the approval again, look at its call, and decide anew."
    if code == "idempotency_mismatch":
        return "Use another idempotency_key, or send the same request again."
    return None


def _seconds(retry_after: str | None) -> float | None:
    return float(retry_after) if retry_after is not None and retry_after.isdigit() else None
