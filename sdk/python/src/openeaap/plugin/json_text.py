from __future__ import annotations

import json
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from openeaap.plugin.step_failed import ErrorCode, StepFailed


class NoJson(ValueError):
    """A value that has no JSON; the message names its type and never its content."""


def to_json_text(value: Any) -> str:
    """JSON of JSON values, pydantic models, dataclasses, datetimes, enums, UUIDs and the like.

    NaN and infinities, which JSON does not have, become null.
    """
    try:
        return to_json(value, by_alias=True, inf_nan_mode="null", bytes_mode="base64").decode("utf-8")
    except (PydanticSerializationError, UnicodeError, ValueError, RecursionError) as error:
        try:
            # Plain JSON that pydantic will not write: lone surrogates, or deeper than it goes.
            return json.dumps(value, allow_nan=False, separators=(",", ":"))
        except (TypeError, ValueError, RecursionError):
            raise NoJson(f"a {type(value).__name__} that is not JSON") from error


def parse_json_field(text: str, field: str, empty: Any = None) -> Any:
    """Raises StepFailed INVALID_INPUT, which names the field."""
    if text == "":
        return empty
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StepFailed(ErrorCode.INVALID_INPUT, f"{field}: not JSON: {error}.") from error


def parse_json_object(text: str, field: str) -> dict[str, Any]:
    value = parse_json_field(text, field, {})
    if not isinstance(value, dict):
        raise StepFailed(ErrorCode.INVALID_INPUT, f"{field}: must be a JSON object.")
    return value


def json_or_text(text: str) -> Any:
    """A proposal of a model may hold what is no JSON; then it is the text."""
    try:
        return json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return text
