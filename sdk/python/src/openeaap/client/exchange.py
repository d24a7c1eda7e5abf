"""What the two clients share of one exchange over HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

import httpx
from pydantic import ValidationError

from openeaap._version import VERSION
from openeaap.client.connection import Connection
from openeaap.client.errors import BadResponse, OpenEAAPError, QuotaExceeded, Unavailable, Unreachable, to_api_error
from openeaap.client.operations import Operation

T = TypeVar("T")
RESPONSE_BYTES_MAX = 67_108_864
"""More than any page of the API can be."""
DEFAULT_TIMEOUT_S = 30.0
TRIES = 3
_LONGEST_WAIT_S = 10.0


def headers_of(connection: Connection) -> dict[str, str]:
    headers = {"accept": "application/json", "user-agent": f"openeaap-python/{VERSION}"}
    return headers if connection.api_key is None else {**headers, "authorization": f"Bearer {connection.api_key}"}


def url_of(connection: Connection, path: str) -> str:
    return connection.url + path


def read_answer(operation: Operation[T], response: httpx.Response, content: bytes) -> T:
    body = _json(content)
    if not response.is_success:
        raise error_of(response.status_code, response.headers, body)
    try:
        return operation.read(body)
    except (ValidationError, KeyError, TypeError) as error:
        raise BadResponse(f"The answer to {operation.method} {operation.path} is not what this client knows.", cure="Is this the address of an OpenEAAP server, and is the client new enough?") from error


def error_of(status: int, headers: Mapping[str, str], body: Any) -> OpenEAAPError:
    if 300 <= status < 400:
        # The key must not follow a redirect to somewhere else.
        return BadResponse(f"The server redirects to {headers.get('location', 'nowhere')}.", cure="Give the final address.")
    return to_api_error(status, headers, body)


def parse_error(response: httpx.Response, content: bytes) -> OpenEAAPError:
    return error_of(response.status_code, response.headers, _json(content))


def too_large() -> OpenEAAPError:
    return BadResponse(f"The answer is longer than {RESPONSE_BYTES_MAX} bytes.", cure="Ask for less with limit.")


def unreachable(connection: Connection, error: httpx.HTTPError | httpx.StreamError) -> Unreachable:
    why = "timed out" if isinstance(error, httpx.TimeoutException) else str(error) or type(error).__name__
    return Unreachable(f"No answer from {connection.url} ({why}). The address came from {connection.source}.", cure="Is the server running?")


def wait_before_try(error: OpenEAAPError, tried: int, operation: Operation[Any]) -> float | None:
    """Seconds until the request is sent again; None: it is not."""
    if not operation.repeatable or tried >= TRIES or not isinstance(error, (Unreachable, Unavailable, QuotaExceeded)):
        return None
    asked = error.retry_after_s if isinstance(error, (Unavailable, QuotaExceeded)) else None
    wait = asked if asked is not None else 0.25 * 2.0**tried
    return wait if wait <= _LONGEST_WAIT_S else None


def is_event_stream(response: httpx.Response) -> bool:
    return str(response.headers.get("content-type", "")).startswith("text/event-stream")


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
