"""One think against a model server that says what a test has it say."""

import asyncio
import json
from typing import Any

import pytest

from openeaap.sdk import ErrorCode, Proposal, ProposedCall, StepFailed, ThinkContext, ThinkRequest, ThinkResult, ToolInfo
from researcher import researcher

TOOLS = [ToolInfo(name, "1", name, {"type": "object"}, "read") for name in ("lookup", "whois")]


def frames(*deltas: dict[str, Any], finish: str = "stop") -> str:
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas] + [{"index": 0, "delta": {}, "finish_reason": finish}]
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    return "".join(f"data: {json.dumps(one)}\n\n" for one in [*({**chunk, "choices": [choice]} for choice in choices), {**chunk, "choices": [], "usage": usage}])


def piece(index: int, text: str, call_id: str | None = None, name: str | None = None) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, **({"id": call_id, "type": "function"} if call_id else {}), "function": {"arguments": text, **({"name": name} if name else {})}}]}


async def think(body: str, status: int = 200, whole: bool = True) -> tuple[ThinkResult | Proposal, list[str]]:
    """``whole=False``: the server closes the connection before the answer's end."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        content = body.encode()
        writer.write(f"HTTP/1.1 {status} X\r\ncontent-type: text/event-stream\r\ncontent-length: {len(content) + (0 if whole else 9)}\r\n\r\n".encode() + content)
        await writer.drain()
        writer.close()

    shown: list[str] = []
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        ctx = ThinkContext(gateway_url=f"http://127.0.0.1:{port}/v1", model_token="t", emit=shown.append)
        thought: Any = researcher.think(ThinkRequest("run", "step", 1, "tenant", "agent", "hi", tools=TOOLS), ctx)
        return await thought, shown


def test_calls_whose_pieces_come_in_turns_are_put_together() -> None:
    body = frames({"role": "assistant", "content": "Both "}, {"content": "at once."}, piece(0, '{"ip"', "a", "lookup"), piece(0, ': "1"}'), piece(1, "", "b", "whois"), piece(1, '{"ip": "2"}'), finish="tool_calls")
    result, shown = asyncio.run(think(body + "data: [DONE]\n\n"))
    assert isinstance(result, ThinkResult)
    assert (result.proposal.thought, shown) == ("Both at once.", ["Both ", "at once."])
    assert result.proposal.calls == [ProposedCall("a", "lookup", '{"ip": "1"}'), ProposedCall("b", "whois", '{"ip": "2"}')]
    assert result.metadata == {"model": "m", "prompt_tokens": 11, "completion_tokens": 7}


CUT = frames({"role": "assistant", "content": "I was ab"})
BROKEN = f"{CUT}data: {json.dumps({'error': {'message': 'It fell over.', 'code': 'x'}})}\n\n"


@pytest.mark.parametrize(
    ("body", "status", "whole", "code", "told"),
    [
        (CUT, 200, False, ErrorCode.MODEL_UNAVAILABLE, "broke off"),
        (BROKEN, 200, True, ErrorCode.MODEL_UNAVAILABLE, "It fell over."),
        ('{"error": {"message": "Too many."}}', 429, True, ErrorCode.MODEL_UNAVAILABLE, "answered 429: Too many."),
        ("<html>", 502, True, ErrorCode.MODEL_UNAVAILABLE, "answered 502"),
        ('{"error": {"message": "No such model."}}', 404, True, ErrorCode.MODEL_REJECTED, "answered 404: No such model."),
        ("data: [DONE]\n\n", 200, True, ErrorCode.MODEL_INVALID_OUTPUT, "empty"),
    ],
)
def test_what_a_model_server_does_wrong_is_told_by_its_code(body: str, status: int, whole: bool, code: ErrorCode, told: str) -> None:
    with pytest.raises(StepFailed, match=told) as failed:
        asyncio.run(think(body, status, whole))
    assert (failed.value.code, failed.value.retryable) == (code, code == ErrorCode.MODEL_UNAVAILABLE)
