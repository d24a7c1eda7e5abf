from __future__ import annotations

from collections.abc import Iterator

import openai
from langchain_core.exceptions import OutputParserException
from openeaap.sdk import ErrorCode, StepFailed

_MESSAGE_CHARS = 500

# The gateway's word for a step whose tokens or calls are used up; asking again does not help.
_SPENT = "insufficient_quota"


def to_step_failed(error: BaseException, credential: str) -> StepFailed | None:
    """What LangChain raised, in the platform's words; None: nothing that is known.

    Frameworks wrap what they catch, so the causes are looked at as well, the outermost first.
    """
    for each in _with_causes(error):
        found = _read(each)
        if found is not None:
            message = found.message.replace(credential, "[secret]") if credential else found.message
            return StepFailed(found.code, message, found.retryable)
    return None


def _read(error: BaseException) -> StepFailed | None:
    if isinstance(error, StepFailed):
        return error
    if isinstance(error, OutputParserException):
        return StepFailed(ErrorCode.MODEL_INVALID_OUTPUT, _parse_message(error))
    if isinstance(error, (openai.APITimeoutError, TimeoutError)):
        return StepFailed(ErrorCode.MODEL_UNAVAILABLE, "The model did not answer in time.", retryable=True)
    if isinstance(error, openai.APIConnectionError) or _is_transport(error):
        return StepFailed(ErrorCode.MODEL_UNAVAILABLE, "The model gateway cannot be reached, or broke off its answer.", retryable=True)
    if isinstance(error, openai.APIStatusError):
        return _read_status(error)
    if isinstance(error, openai.APIError):
        return StepFailed(ErrorCode.MODEL_UNAVAILABLE, f"The model gateway ended its answer with an error: {_cut(error.message)}", retryable=True)
    return None


def _read_status(error: openai.APIStatusError) -> StepFailed:
    said = _said(error)
    if error.status_code == 401:
        return StepFailed(ErrorCode.MODEL_REJECTED, f"The model gateway does not accept the step's credential (401): {said}")
    if error.status_code == 429 and error.code == _SPENT:
        return StepFailed(ErrorCode.MODEL_REJECTED, f"The step has used up what it may ask of the model (429): {said}")
    if error.status_code in (408, 409, 425, 429) or error.status_code >= 500:
        return StepFailed(ErrorCode.MODEL_UNAVAILABLE, f"The model gateway answered {error.status_code}: {said}", retryable=True)
    return StepFailed(ErrorCode.MODEL_REJECTED, f"The model gateway refused the request ({error.status_code}): {said}")


def _is_transport(error: BaseException) -> bool:
    """Of the HTTP client, which is httpx or its successor, depending on the version of openai."""
    return any(kind.__name__ == "TransportError" and kind.__module__.startswith("httpx") for kind in type(error).__mro__)


def _said(error: openai.APIStatusError) -> str:
    body = error.body
    message = body.get("message") if isinstance(body, dict) else None
    return _cut(message if isinstance(message, str) and message else "it did not say why.")


def _parse_message(error: OutputParserException) -> str:
    if error.send_to_llm and error.observation:
        return _cut(f"{error.observation} You wrote: {error.llm_output}")
    return _cut(f"The agent could not read the reply: {error}")


def _cut(text: str) -> str:
    return text if len(text) <= _MESSAGE_CHARS else f"{text[:_MESSAGE_CHARS]} …"


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        yield at
        at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)
