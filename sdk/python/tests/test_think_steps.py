"""Thinks over real gRPC: what an agent is given, and what becomes of what it answers."""

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from harness.serving import Serving, serving, told

from openeaap._proto import runtime_pb2 as pb
from openeaap.sdk import (
    UNSET,
    ActEntry,
    Agent,
    ErrorCode,
    Proposal,
    ProposedCall,
    StepFailed,
    ThinkContext,
    ThinkEntry,
    ThinkRequest,
    ThinkResult,
    ToolCallLog,
    Worker,
    agent,
)

TOKEN = "model-token-1"
JOURNAL = [
    pb.JournalStep(no=1, step_id="s1", think=pb.JournalStep.Think(strategy_state='{"n": 1}', proposal=pb.Proposal(thought="t", calls=[pb.ProposedCall(id="c1", tool="echo", args='{"a": 1}'), pb.ProposedCall(id="c2", tool="echo", args="{nope")]))),
    pb.JournalStep(no=2, step_id="s2", act=pb.JournalStep.Act(call_id="c1", tool="echo", args='{"a": 2}', status="done", observation='{"output": {"a": 2}}', think_no=1)),
    pb.JournalStep(no=3, step_id="s3", act=pb.JournalStep.Act(call_id="c2", tool="echo", args="{nope", status="invalid", observation='{"error": {"code": "invalid_input", "message": "no JSON"}}', think_no=1)),
    pb.JournalStep(no=4, step_id="s4", think=pb.JournalStep.Think(error=pb.StepError(code=pb.ERROR_CODE_MODEL_INVALID_OUTPUT, message="Nothing usable."))),
    pb.JournalStep(no=5, step_id="s5", think=pb.JournalStep.Think(proposal=pb.Proposal(thought="", output="null"))),
]  # fmt: skip


@dataclass
class Verdict:
    score: int


class Kept:
    request: ThinkRequest | None = None
    ctx: ThinkContext | None = None
    cancelled = threading.Event()


async def answer(request: ThinkRequest, ctx: ThinkContext) -> Any:
    Kept.request, Kept.ctx = request, ctx
    given = request.input if isinstance(request.input, str) else ""
    answers: dict[str, Any] = {
        "": Proposal.finish("done"),
        "finish": Proposal.finish({"ok": True}, thought="sure"),
        "null": Proposal.finish(None),
        "dataclass": Proposal.finish(Verdict(3)),
        "call": Proposal.call("echo", {"深": 1}, thought="let me see"),
        "calls": Proposal(calls=[ProposedCall("", "echo", {}), ProposedCall("call_1", "echo", {}), ProposedCall("", "echo", "{nope")]),
        "thought": Proposal(thought="hm\ud83d"),
        "state": ThinkResult(Proposal.finish(1), state={"n": 2}, audit_logs=[ToolCallLog("x", "search", {"q": 1}, [2])], metadata={"prompt_tokens": 3, "model": "m"}),
        "both": Proposal(calls=[ProposedCall("1", "echo", {})], output=1),
        "twice": Proposal(calls=[ProposedCall("1", "echo", {}), ProposedCall("1", "echo", {})]),
        "nothing": Proposal(),
        "args": Proposal.call("echo", [1]),  # type: ignore[arg-type]
        "object": Proposal.finish(object()),
        "string": "done",
        "blocked": Proposal.call("block", {}),
    }  # fmt: skip
    if given == "fail":
        raise StepFailed(ErrorCode.MODEL_UNAVAILABLE, f"No model answered at {ctx.gateway_url} to {ctx.model_token}.", retryable=True)
    if given == "raise":
        raise RuntimeError(ctx.model_token)
    if given == "sleep":
        try:
            await asyncio.sleep(20)
        except asyncio.CancelledError:
            Kept.cancelled.set()
            raise
    return answers[given]


@agent(name="talks", reasoning_modes=["react"])
def talks(request: ThinkRequest, ctx: ThinkContext) -> Proposal:
    """Talks, in a thread."""
    for piece in ("a", "深\ud83d", "", "c"):
        ctx.emit(piece)
    return Proposal.finish("a深c")


@agent(name="babbles")
def babbles(request: ThinkRequest, ctx: ThinkContext) -> Proposal:
    for _ in range(20_000):
        ctx.emit("x")
    return Proposal.finish("x")


@pytest.fixture(scope="module")
def plugin() -> Iterator[Serving]:
    with serving(Worker(agents=[Agent("answers", answer), talks, babbles])) as made:
        yield made


def ask(plugin: Serving, input: Any = None, **fields: Any) -> pb.ExecuteStepResponse:
    settings = fields.pop("settings", "")
    configuration = pb.AgentConfiguration(
        name="triage", version="2", entrypoint=fields.pop("entrypoint", "answers"), reasoning="react", system_prompt="You are.",
        settings=settings, model=pb.AgentConfiguration.Model(name="m", temperature=0.5, max_tokens=100),
    )  # fmt: skip
    return plugin.think(input, agent=configuration, **fields)


def test_an_agent_is_given_all_that_is_known_of_the_run(plugin: Serving) -> None:
    ask(
        plugin,
        {"alert": 1},
        run_id="r",
        step_id="s",
        tenant_id="t",
        agent_id="a",
        settings='{"depth": 2}',
        journal=JOURNAL,
        principal=pb.Principal(user_id="u", groups=["g"], clearance=3),
        constraints=pb.GovernanceConstraints(blocked_tools=["b"], dry_run=True, max_tokens=9),
        tools=[pb.ToolSpec(name="echo", version="1", description="Echoes.", input_schema='{"type":"object"}', effect=pb.TOOL_EFFECT_READ), pb.ToolSpec(name="bare")],
        ephemeral_credentials={"OPENEAAP_GATEWAY_URL": "http://gateway/v1", "OPENEAAP_MODEL_TOKEN": TOKEN},
        trace_context={"traceparent": "00"},
    )
    request, ctx = Kept.request, Kept.ctx
    assert request is not None and ctx is not None
    assert (request.run_id, request.step_id, request.step_no, request.tenant_id, request.agent_id) == ("r", "s", 1, "t", "a")
    assert request.input == {"alert": 1}
    assert (request.principal.groups, request.principal.clearance) == (("g",), 3)
    assert request.constraints.blocked_tools == {"b"} and request.constraints.dry_run and request.constraints.max_tokens == 9
    assert [(tool.name, tool.input_schema, tool.effect) for tool in request.tools] == [("echo", {"type": "object"}, "read"), ("bare", {"type": "object", "properties": {}}, "write")]
    assert (request.agent.name, request.agent.settings, request.agent.model.name, request.agent.model.max_tokens, request.agent.model.tool_calling) == ("triage", {"depth": 2}, "m", 100, "native")
    assert (ctx.gateway_url, ctx.model_token, ctx.trace_context) == ("http://gateway/v1", TOKEN, {"traceparent": "00"})
    assert TOKEN not in repr(ctx) + repr(request)
    first, second, third, failed, last = request.journal
    assert isinstance(first, ThinkEntry) and first.proposal is not None
    assert [(call.id, call.args) for call in first.proposal.calls] == [("c1", {"a": 1}), ("c2", "{nope")]
    assert (first.state, first.proposal.output) == ({"n": 1}, UNSET)
    assert isinstance(second, ActEntry) and (second.status, second.args, second.observation, second.think_no) == ("done", {"a": 2}, {"output": {"a": 2}}, 1)
    assert isinstance(third, ActEntry) and (third.status, third.args) == ("invalid", "{nope")
    assert isinstance(failed, ThinkEntry) and failed.proposal is None and failed.error is not None and failed.error.code is ErrorCode.MODEL_INVALID_OUTPUT
    assert isinstance(last, ThinkEntry) and last.proposal is not None and last.proposal.finishes and last.proposal.output is None
    assert request.state == {"n": 1}, "the newest think that returned one"


def test_an_answer_becomes_calls_or_an_output(plugin: Serving) -> None:
    finished = ask(plugin, "finish").proposal
    assert (json.loads(finished.output), finished.thought) == ({"ok": True}, "sure")
    null = ask(plugin, "null").proposal
    assert null.HasField("output") and null.output == "null"
    assert json.loads(ask(plugin, "dataclass").proposal.output) == {"score": 3}
    called = ask(plugin, "call").proposal
    assert not called.HasField("output")
    assert [(call.id, call.tool, json.loads(call.args)) for call in called.calls] == [("call_1", "echo", {"深": 1})]
    assert [(call.id, call.args) for call in ask(plugin, "calls").proposal.calls] == [("call_2", "{}"), ("call_1", "{}"), ("call_3", "{nope")]
    thought = ask(plugin, "thought").proposal
    assert (thought.thought, list(thought.calls), thought.HasField("output")) == ("hm?", [], False)


def test_state_claims_and_cost_go_with_it(plugin: Serving) -> None:
    response = ask(plugin, "state")
    assert json.loads(response.strategy_state) == {"n": 2}
    assert [(call.id, call.tool, call.input_payload, call.output_payload, call.status) for call in response.audit_logs] == [("x", "search", '{"q":1}', "[2]", "done")]
    assert (response.metadata["prompt_tokens"], response.metadata["model"]) == ("3", "m")
    assert int(response.metadata["duration_ms"]) >= 0
    assert ask(plugin, "finish").strategy_state == ""


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ("both", "INTERNAL", "calls and an output"),
        ("twice", "INTERNAL", "same id"),
        ("nothing", "MODEL_INVALID_OUTPUT", "neither"),
        ("args", "INTERNAL", "arguments that are a list"),
        ("object", "INTERNAL", "object that is not JSON"),
        ("string", "INTERNAL", "returned a str; return a Proposal or a ThinkResult"),
        ("raise", "INTERNAL", "answers raised RuntimeError."),
    ],
)
def test_what_is_no_answer_is_an_error_that_says_why(plugin: Serving, given: str, code: str, said: str) -> None:
    error = told(ask(plugin, given, ephemeral_credentials={"OPENEAAP_MODEL_TOKEN": TOKEN}))
    assert error[0] == code and said in error[1] and not error[2]
    assert TOKEN not in error[1]


def test_an_error_of_the_agent_keeps_its_code_and_loses_the_token(plugin: Serving) -> None:
    credentials = {"OPENEAAP_GATEWAY_URL": "http://gateway/v1", "OPENEAAP_MODEL_TOKEN": TOKEN}
    assert told(ask(plugin, "fail", ephemeral_credentials=credentials)) == ("MODEL_UNAVAILABLE", "No model answered at http://gateway/v1 to [secret].", True)


def test_a_blocked_tool_is_not_proposed(plugin: Serving) -> None:
    assert told(ask(plugin, "blocked", constraints=pb.GovernanceConstraints(blocked_tools=["block"])))[0] == "CONSTRAINT_VIOLATED"
    assert ask(plugin, "blocked").proposal.calls[0].tool == "block"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"entrypoint": "nobody"}, "agent.entrypoint: there is no agent 'nobody' here. This worker has answers, babbles, talks."),
        ({"entrypoint": ""}, "agent.entrypoint: it must say which agent."),
        ({"settings": "[]"}, "agent.settings: must be a JSON object."),
        ({"journal": [pb.JournalStep(no=3, think=pb.JournalStep.Think(strategy_state="{"))]}, "journal.3.strategy_state: not JSON"),
        ({"tools": [pb.ToolSpec(name="t", input_schema="{")]}, "tools.t.input_schema: not JSON"),
    ],
)
def test_what_cannot_be_read_is_invalid_input_that_names_the_field(plugin: Serving, fields: dict[str, Any], said: str) -> None:
    code, message, _ = told(ask(plugin, **fields))
    assert code == "INVALID_INPUT" and message.startswith(said)


def test_an_input_that_is_no_json_is_invalid_input(plugin: Serving) -> None:
    request = pb.ExecuteStepRequest(kind=pb.STEP_KIND_THINK, input_payload="{", agent=pb.AgentConfiguration(entrypoint="answers"))
    assert told(plugin.stub.ExecuteStep(request, timeout=5))[:2][0] == "INVALID_INPUT"


def test_the_only_agent_needs_no_entrypoint() -> None:
    with serving(Worker(agents=[Agent("answers", answer)])) as only:
        assert only.think("finish").proposal.HasField("output")


def stream(plugin: Serving, entrypoint: str, input: Any = None, **options: Any) -> Any:
    request = pb.ExecuteStepRequest(kind=pb.STEP_KIND_THINK, input_payload=json.dumps(input), agent=pb.AgentConfiguration(entrypoint=entrypoint))
    return plugin.stub.ExecuteStepStream(request, timeout=options.get("timeout", 10))


def test_deltas_come_as_they_are_emitted_and_the_response_last(plugin: Serving) -> None:
    events = list(stream(plugin, "talks"))
    assert [event.WhichOneof("event") for event in events] == ["delta", "delta", "delta", "response"]
    assert [event.delta for event in events[:-1]] == ["a", "深?", "c"]
    assert json.loads(events[-1].response.proposal.output) == "a深c"


def test_a_flood_of_deltas_loses_no_text(plugin: Serving) -> None:
    events = list(stream(plugin, "babbles"))
    assert sum(len(event.delta) for event in events) == 20_000
    assert [event.WhichOneof("event") for event in events].count("response") == 1


def test_without_a_stream_deltas_go_nowhere(plugin: Serving) -> None:
    assert ask(plugin, entrypoint="talks").proposal.HasField("output")


def test_an_error_in_a_stream_is_its_response(plugin: Serving) -> None:
    (event,) = list(stream(plugin, "answers", "raise"))
    assert told(event.response)[0] == "INTERNAL"


@pytest.mark.parametrize("streaming", [False, True])
def test_a_cancelled_think_stops(plugin: Serving, streaming: bool) -> None:
    Kept.cancelled.clear()
    Kept.request = None
    with pytest.raises(grpc.RpcError) as late:
        if streaming:
            list(stream(plugin, "answers", "sleep", timeout=0.3))
        else:
            ask(plugin, "sleep", timeout=0.3)
    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert Kept.cancelled.wait(5)


@pytest.mark.parametrize("kind", [0, 3, 99])
def test_a_kind_of_step_that_is_not_known_is_an_invalid_argument(plugin: Serving, kind: int) -> None:
    request = pb.ExecuteStepRequest()
    request.MergeFromString(bytes([0x40, kind]))
    for call in (lambda: plugin.stub.ExecuteStep(request, timeout=5), lambda: list(plugin.stub.ExecuteStepStream(request, timeout=5))):
        with pytest.raises(grpc.RpcError) as refused:
            call()
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert f"kind: {kind}" in refused.value.details()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Agent("no spaces", answer), "letters, digits"),
        (lambda: Agent("a", None), "think must be a function"),  # type: ignore[arg-type]
        (lambda: Agent("a", answer, reasoning_modes=["zen"]), "'zen' is none of react, cot, tot"),  # type: ignore[arg-type]
        (lambda: Worker(), "neither a tool nor an agent"),
        (lambda: Worker(agents=[answer]), "Make it one with @agent"),  # type: ignore[list-item]
        (lambda: Worker(agents=[Agent("a", answer), Agent("a", answer)]), "'a' is there twice"),
        (lambda: Worker(agents=[talks], max_concurrent_steps=0), "max_concurrent_steps is 0"),
    ],
)
def test_what_cannot_be_an_agent_or_a_worker_is_refused(make: Any, said: str) -> None:
    with pytest.raises((TypeError, ValueError)) as refused:
        make()
    assert said in str(refused.value)
