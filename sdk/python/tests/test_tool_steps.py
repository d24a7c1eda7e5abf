"""Tool calls over real gRPC: what a function gets, and what becomes of what it returns or raises."""

import asyncio
import json
import logging
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from enum import Enum
from typing import Any

import grpc
import pytest
from harness.serving import Serving, serving, told, tool_step
from harness.wait_until import wait_until
from pydantic import BaseModel, Field, field_validator

from openeaap._proto import runtime_pb2 as pb
from openeaap.sdk import Lineage, StepFailed, ToolContext, ToolError, ToolResult, ToolUnavailable, Worker, tool

SECRET = "s3cr3t/with+signs&ümlaut"


class Severity(Enum):
    LOW = "low"
    HIGH = "high"


class Asset(BaseModel):
    host: str
    seen: datetime | None = None

    @field_validator("host")
    @classmethod
    def no_spaces(cls, host: str) -> str:
        if " " in host:
            raise ValueError("a host has no spaces")
        return host


@dataclass
class Score:
    value: int
    at: date


class Request(BaseModel):
    asset: Asset
    depth: int = Field(ge=0, alias="max-depth", default=1)


class Events:
    """What the tools saw, for the tests to wait for."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.cancelled = threading.Event()
        self.go_on = threading.Event()
        self.effects: list[str] = []
        self.context: ToolContext | None = None


def make_worker(seen: Events) -> Worker:
    @tool(effect="read")
    def types(when: datetime, level: Severity, asset: Asset, assets: list[Asset], ratio: float = 0.5) -> list[str]:
        """Names the types that it got."""
        return [type(value).__name__ for value in (when, level, asset, assets[0], ratio)]

    @tool(args_schema=Request)
    def whole(request: Request, ctx: ToolContext) -> dict[str, Any]:
        """Takes the model as a whole."""
        return {"host": request.asset.host, "depth": request.depth}

    @tool(args_schema=Request)
    def fields(asset: Asset, depth: int) -> dict[str, Any]:
        """Takes the model's fields."""
        return {"host": asset.host, "depth": depth}

    @tool(args_schema={"type": "object", "properties": {"ctx": {}, "b": {}}})
    def plain(ctx: ToolContext, /, **args: Any) -> dict[str, Any]:
        """Takes plain JSON."""
        return args

    @tool
    def context(ctx: ToolContext) -> dict[str, Any]:
        """Keeps its context."""
        seen.context = ctx
        return {"thread": threading.current_thread().name, "left": ctx.seconds_left()}

    @tool
    async def asynchronous(n: int) -> int:
        """Is async."""
        await asyncio.sleep(0)
        return n + 1

    @tool
    def returns(what: str) -> Any:
        """Returns many things."""
        return {
            "model": Asset(host="a", seen=datetime(2026, 1, 2, tzinfo=timezone.utc)),
            "dataclass": Score(3, date(2026, 1, 2)),
            "enum": [Severity.HIGH, uuid.UUID(int=1)],
            "null": None,
            "nan": [float("nan"), float("inf")],
            "surrogate": "\ud800",
            "object": threading.Lock(),
            "result": ToolResult([1], lineage=[Lineage("c1", "T", "s", 0.5)], metadata={"n": 1, "unit": "ms"}),
        }[what]

    @tool(output_schema=Score)
    def scores(value: Any) -> Any:
        """Returns a score, or something else."""
        return {"value": value, "at": "2026-01-02"}

    @tool(secrets=["KEY"])
    def raises(ctx: ToolContext, what: str) -> None:
        """Raises."""
        key = ctx.secrets["KEY"]
        ctx.log.warning("calling %s", f"https://x/?key={key}")
        if what == "missing":
            ctx.secrets["OTHER"]
        raise {
            "error": ToolError(f"The key {key} was refused."),
            "unavailable": ToolUnavailable("The firewall does not answer."),
            "value": ValueError(f"bad url https://x/?key={key}"),
            "exit": SystemExit(3),
            "stop": StopIteration(1),
            "code": StepFailed("CANCELLED", "Enough."),
            "long": ToolError("x" * 20_000),
            "cancelled": asyncio.CancelledError(),
        }[what]

    @tool
    async def raises_async(what: str) -> None:
        """Raises where it is async."""
        raise {"exit": SystemExit(3), "cancelled": asyncio.CancelledError(), "key": KeyError("x")}[what]

    @tool(effect="destructive")
    def block(ctx: ToolContext) -> str:
        """Has an effect."""
        seen.effects.append("blocked")
        return "blocked"

    @tool(effect="write", handles_dry_run=True)
    def careful(ctx: ToolContext) -> str:
        """Looks at dry_run itself."""
        if ctx.dry_run:
            return "would write"
        seen.effects.append("written")
        return "written"

    @tool(effect="read")
    def waits(ctx: ToolContext) -> str:
        """Waits for its cancellation in a thread."""
        seen.started.set()
        if ctx.wait_cancelled(20):
            seen.cancelled.set()
        ctx.raise_if_cancelled()
        return "waited"

    @tool(effect="read")
    async def waits_async() -> str:
        """Waits for its cancellation on the loop."""
        seen.started.set()
        try:
            await asyncio.sleep(20)
        except asyncio.CancelledError:
            seen.cancelled.set()
            raise
        return "waited"

    @tool(effect="read")
    def deaf() -> str:
        """Does not notice that it is cancelled."""
        seen.started.set()
        seen.go_on.wait(20)
        return "done"

    @tool(effect="read")
    def big(bytes: int) -> str:  # noqa: A002
        """Returns so many."""
        return "x" * bytes

    @tool(effect="write")
    def big_write(bytes: int) -> str:  # noqa: A002
        """Writes, and returns so many."""
        return "x" * bytes

    @tool(effect="read")
    def echo(n: int) -> int:
        """Returns n."""
        return n

    tools = [types, whole, fields, plain, context, asynchronous, returns, scores, raises, raises_async, block, careful, waits, waits_async, deaf, big, big_write, echo]
    return Worker(tools=tools, max_concurrent_steps=24)


@pytest.fixture
def seen() -> Events:
    return Events()


@pytest.fixture
def plugin(seen: Events) -> Iterator[Serving]:
    with serving(make_worker(seen)) as made:
        yield made


def test_arguments_are_parsed_into_real_types(plugin: Serving) -> None:
    args = {"when": "2026-11-24T10:00:00Z", "level": "high", "asset": {"host": "a"}, "assets": [{"host": "b", "seen": "2026-01-01T00:00:00Z"}]}
    assert plugin.output("types", args) == ["datetime", "Severity", "Asset", "Asset", "float"]
    assert plugin.output("whole", {"asset": {"host": "a"}, "max-depth": 3}) == {"host": "a", "depth": 3}
    assert plugin.output("fields", {"asset": {"host": "a"}}) == {"host": "a", "depth": 1}
    assert plugin.output("plain", {"b": [1, {"深": "é"}], "ctx": 1}) == {"b": [1, {"深": "é"}], "ctx": 1}
    assert plugin.output("asynchronous", {"n": 1}) == 2


@pytest.mark.parametrize(
    ("name", "payload", "said"),
    [
        ("types", "{", "input_payload"),
        ("types", "[1]", "input_payload: the arguments must be a JSON object."),
        ("plain", "[1]", "input_payload: the arguments must be a JSON object."),
        ("plain", "nope", "input_payload: not JSON"),
        ("plain", "[" * 100_000, "input_payload"),
        ("types", "[" * 100_000, "input_payload"),
        ("types", "{}", "when: this argument is required. level: this argument is required."),
        ("types", '{"when":"soon","level":"x","asset":{"host":"a b"},"assets":[{"host":1}]}', "asset.host: Value error, a host has no spaces."),
        ("types", '{"when":"soon","level":"x","asset":{"host":"a"},"assets":[{"host":1}]}', "assets.0.host: Input should be a valid string."),
        ("types", '{"when":"2026-11-24T10:00:00Z","level":"low","asset":{"host":"a"},"assets":[],"more":1}', "more: there is no such argument."),
        ("whole", '{"asset":{"host":"a"},"max-depth":-1}', "max-depth: Input should be greater than or equal to 0."),
    ],
)  # fmt: skip
def test_bad_arguments_are_invalid_input_that_names_the_field(plugin: Serving, name: str, payload: str, said: str) -> None:
    code, message, retryable = told(plugin.call(name, payload))
    assert (code, retryable) == ("INVALID_INPUT", False)
    assert said in message
    assert plugin.output("echo", {"n": 1}) == 1


def test_a_tool_that_is_not_there_is_invalid_input_that_says_what_is(plugin: Serving) -> None:
    code, message, _ = plugin.error("nope")
    assert code == "INVALID_INPUT"
    assert "'nope'" in message and "asynchronous, big, big_write" in message


def test_the_context_holds_all_that_the_step_came_with(plugin: Serving, seen: Events) -> None:
    fields = {
        "run_id": "r", "step_id": "s", "tenant_id": "t", "agent_id": "a", "idempotency_key": "i",
        "trace_context": {"traceparent": "00-1-2-01"},
        "ephemeral_credentials": {"KEY": SECRET},
        "principal": pb.Principal(user_id="u", groups=["g"], clearance=2),
    }  # fmt: skip
    out = plugin.output("context", timeout=7, **fields)
    ctx = seen.context
    assert ctx is not None
    assert (ctx.run_id, ctx.step_id, ctx.tenant_id, ctx.agent_id, ctx.idempotency_key, ctx.step_no) == ("r", "s", "t", "a", "i", 1)
    assert (ctx.principal.user_id, ctx.principal.groups, ctx.principal.clearance) == ("u", ("g",), 2)
    assert ctx.trace_context == {"traceparent": "00-1-2-01"}
    assert ctx.secrets == {"KEY": SECRET}
    assert SECRET not in repr(ctx) + repr(ctx.secrets) + str(ctx.secrets) + f"{ctx.secrets}"
    assert out["thread"].startswith("openeaap-step") and 5 < out["left"] < 7.5
    assert ctx.deadline is not None and ctx.deadline - datetime.now(timezone.utc) < timedelta(seconds=7.5)


def test_results_are_json_of_models_dataclasses_and_the_like(plugin: Serving) -> None:
    def returned(what: str) -> Any:
        return plugin.output("returns", {"what": what})

    assert returned("model") == {"host": "a", "seen": "2026-01-02T00:00:00Z"}
    assert returned("dataclass") == {"value": 3, "at": "2026-01-02"}
    assert returned("enum") == ["high", "00000000-0000-0000-0000-000000000001"]
    assert returned("null") is None
    assert returned("nan") == [None, None]
    assert returned("surrogate") == "\ud800"
    response = plugin.call("returns", {"what": "result"})
    assert (json.loads(response.output_payload), response.metadata) == ([1], {"n": "1", "unit": "ms"})
    assert [(ref.chunk_id, ref.title, ref.source, ref.score) for ref in response.lineage] == [("c1", "T", "s", 0.5)]


def test_a_result_that_is_no_json_says_its_type_and_the_cure(plugin: Serving) -> None:
    code, message, retryable = plugin.error("returns", {"what": "object"})
    assert (code, retryable) == ("INTERNAL", False)
    assert "lock" in message and "Return JSON values" in message


def test_with_an_output_type_a_result_keeps_to_it(plugin: Serving) -> None:
    assert plugin.output("scores", {"value": 3}) == {"value": 3, "at": "2026-01-02"}
    code, message, _ = plugin.error("scores", {"value": "much"})
    assert code == "INTERNAL" and "output_schema: value: Input should be a valid integer" in message


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("error", ("TOOL_FAILED", "The key [secret] was refused.", False)),
        ("unavailable", ("TOOL_UNAVAILABLE", "The firewall does not answer.", True)),
        ("value", ("INTERNAL", "raises raised ValueError. The log of the worker says more.", False)),
        ("exit", ("INTERNAL", "raises raised RuntimeError. The log of the worker says more.", False)),
        ("stop", ("INTERNAL", "raises raised RuntimeError. The log of the worker says more.", False)),
        ("cancelled", ("INTERNAL", "raises raised RuntimeError. The log of the worker says more.", False)),
        ("code", ("CANCELLED", "Enough.", False)),
        ("missing", ("INTERNAL", "raises: The secret OTHER did not come with this step: declare it with secrets=['OTHER'] and give it to the platform.", False)),
        ("long", ("TOOL_FAILED", "x" * 8_192 + " …", False)),
    ],
)  # fmt: skip
def test_each_error_has_its_code_and_a_message_that_is_safe(plugin: Serving, what: str, expected: tuple[str, str, bool]) -> None:
    assert plugin.error("raises", {"what": what}, ephemeral_credentials={"KEY": SECRET}) == expected


def test_an_async_tool_that_exits_or_cancels_itself_takes_nothing_with_it(plugin: Serving) -> None:
    assert plugin.error("raises_async", {"what": "exit"})[:2] == ("INTERNAL", "raises_async raised SystemExit. The log of the worker says more.")
    assert plugin.error("raises_async", {"what": "cancelled"}, timeout=5)[0] == "CANCELLED"
    assert plugin.error("raises_async", {"what": "key"})[:2] == ("INTERNAL", "raises_async raised KeyError. The log of the worker says more.")
    assert plugin.output("echo", {"n": 1}) == 1


def test_no_line_of_the_log_holds_a_secret(plugin: Serving, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        plugin.error("raises", {"what": "value"}, run_id="run-1", ephemeral_credentials={"KEY": SECRET})
    text = caplog.text
    assert "ValueError: bad url https://x/?key=[secret]" in text
    assert "Traceback" in text and "run_id=run-1" in text
    assert "calling https://x/?key=[secret]" in text
    assert SECRET not in text and json.dumps(SECRET)[1:-1] not in text


def test_a_blocked_tool_is_not_called(plugin: Serving, seen: Events) -> None:
    code, message, retryable = plugin.error("block", constraints=pb.GovernanceConstraints(blocked_tools=["block"]))
    assert (code, message, retryable, seen.effects) == ("CONSTRAINT_VIOLATED", "block is blocked in this run.", False, [])


def test_in_a_dry_run_nothing_has_an_effect(plugin: Serving, seen: Events) -> None:
    dry = pb.GovernanceConstraints(dry_run=True)
    code, message, _ = plugin.error("block", constraints=dry)
    assert code == "CONSTRAINT_VIOLATED" and "destructive" in message
    assert plugin.output("careful", constraints=dry) == "would write"
    assert plugin.output("echo", {"n": 4}, constraints=dry) == 4
    assert seen.effects == []
    assert plugin.output("block") == "blocked"


@pytest.mark.parametrize("name", ["waits", "waits_async"])
def test_a_cancelled_call_stops_its_tool(plugin: Serving, seen: Events, name: str) -> None:
    call = plugin.stub.ExecuteStep.future(tool_step(name), timeout=20)
    assert seen.started.wait(5)
    call.cancel()
    assert seen.cancelled.wait(5)


@pytest.mark.parametrize("name", ["waits", "waits_async"])
def test_a_deadline_stops_its_tool(plugin: Serving, seen: Events, name: str) -> None:
    with pytest.raises(grpc.RpcError) as late:
        plugin.call(name, timeout=0.2)
    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert seen.cancelled.wait(5)


def test_calls_at_once_are_not_mixed_up(plugin: Serving) -> None:
    calls = [plugin.stub.ExecuteStep.future(tool_step("echo", json.dumps({"n": n})), timeout=10) for n in range(20)]
    assert [json.loads(call.result().output_payload) for call in calls] == list(range(20))


def test_more_steps_than_wanted_are_overloaded_and_may_be_tried_again(seen: Events) -> None:
    @tool(effect="read")
    def deaf() -> str:
        """Does not notice that it is cancelled."""
        seen.started.set()
        seen.go_on.wait(20)
        return "done"

    with serving(Worker(tools=[deaf], max_concurrent_steps=1)) as plugin:
        call = plugin.stub.ExecuteStep.future(tool_step("deaf"), timeout=20)
        assert seen.started.wait(5)
        assert plugin.error("deaf") == ("OVERLOADED", "1 steps are under way, and the worker takes no more at once.", True)
        # Nobody waits for it any more, but its thread works: the slot is not free.
        call.cancel()
        time.sleep(0.05)
        assert plugin.error("deaf")[0] == "OVERLOADED"
        seen.go_on.set()
        assert wait_until("the slot is free", lambda: not plugin.call("deaf").HasField("error"))


def test_a_result_is_no_larger_than_the_platform_receives(plugin: Serving) -> None:
    plugin.stub.Handshake(pb.HandshakeRequest(protocol_versions=[1], max_message_bytes=2_000_000))
    assert len(plugin.output("big", {"bytes": 1_048_576})) == 1_048_576
    # A read changed nothing; whether a write is to be repeated must not be answered by its size.
    assert plugin.error("big", {"bytes": 3_000_000})[0] == "TOOL_FAILED"
    code, message, retryable = plugin.error("big_write", {"bytes": 3_000_000})
    assert (code, retryable) == ("INTERNAL", False) and "2000000" in message


def test_a_request_above_32_mib_is_refused_and_the_worker_lives_on(plugin: Serving) -> None:
    with pytest.raises(grpc.RpcError) as large:
        plugin.call("echo", "x" * (33 * 1024 * 1024))
    assert large.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert plugin.output("echo", {"n": 1}) == 1
