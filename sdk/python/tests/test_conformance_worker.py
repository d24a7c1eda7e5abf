"""The fixture for the conformance kit keeps each row of the protocol's tables."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from harness.serving import told, tool_step
from harness.wait_until import wait_until
from harness.worker_process import WorkerProcess, launched

from openeaap._proto import runtime_pb2 as pb


@pytest.fixture(scope="module")
def worker() -> Iterator[WorkerProcess]:
    with launched("conformance_worker") as made:
        yield made


def output(worker: WorkerProcess, name: str, args: Any = None, **fields: Any) -> Any:
    response = worker.stub().ExecuteStep(tool_step(f"conformance_{name}", json.dumps(args or {}), **fields), timeout=10)
    assert not response.HasField("error"), response.error
    return json.loads(response.output_payload)


def think(worker: WorkerProcess, input: Any, journal: list[pb.JournalStep] | None = None, **fields: Any) -> pb.ExecuteStepResponse:
    request = pb.ExecuteStepRequest(kind=pb.STEP_KIND_THINK, input_payload=json.dumps(input), journal=journal or [], agent=pb.AgentConfiguration(entrypoint="conformance"), **fields)
    response: pb.ExecuteStepResponse = worker.stub().ExecuteStep(request, timeout=10)
    return response


def test_the_tools(worker: WorkerProcess) -> None:
    deep: Any = {"深": "é"}
    for _ in range(150):
        deep = {"d": [deep]}
    assert output(worker, "echo", deep) == {"echo": deep}
    assert output(worker, "sleep", {"ms": 1}) == {"slept_ms": 1}
    assert told(worker.stub().ExecuteStep(tool_step("conformance_fail", '{"message": "m"}'), timeout=5)) == ("TOOL_FAILED", "m", False)
    counts = [output(worker, "count", idempotency_key=key) for key in ("k1", "k1", "k2")]
    assert counts == [{"calls": 1, "effects": 1}, {"calls": 2, "effects": 1}, {"calls": 1, "effects": 1}]
    assert output(worker, "secret", ephemeral_credentials={"CONFORMANCE_SECRET": "x"}) == {"sha256": hashlib.sha256(b"x").hexdigest()}
    assert output(worker, "big", {"bytes": 5}) == {"text": "xxxxx"}


def test_a_cancelled_sleep_is_seen(worker: WorkerProcess) -> None:
    before = output(worker, "sleeps_seen")["cancelled"]
    with pytest.raises(grpc.RpcError):
        worker.stub().ExecuteStep(tool_step("conformance_sleep", '{"ms": 20000}'), timeout=0.2)
    wait_until("the sleep was stopped", lambda: output(worker, "sleeps_seen")["cancelled"] == before + 1)


def test_the_agent(worker: WorkerProcess) -> None:
    assert json.loads(think(worker, {"do": "finish", "output": [1]}).proposal.output) == [1]
    wanted = {"do": "propose", "tool": "conformance_echo", "args": {"a": 1}}
    offered = [pb.ToolSpec(name="conformance_echo")]
    (call,) = think(worker, wanted, tools=offered).proposal.calls
    assert (call.tool, json.loads(call.args)) == ("conformance_echo", {"a": 1})
    assert json.loads(think(worker, wanted).proposal.output) == "blocked"
    blocked = pb.GovernanceConstraints(blocked_tools=["conformance_echo"])
    assert json.loads(think(worker, wanted, tools=offered, constraints=blocked).proposal.output) == "blocked"
    journal = [pb.JournalStep(no=1, act=pb.JournalStep.Act(tool="conformance_echo", observation='{"output": 5}'))]
    assert json.loads(think(worker, wanted, journal, tools=offered).proposal.output) == {"observation": {"output": 5}}
    assert told(think(worker, {"do": "fail"})) == ("MODEL_UNAVAILABLE", "It was asked to fail.", True)
    assert told(think(worker, {"do": "dance"}))[0] == "INVALID_INPUT"


def test_the_agent_counts_in_its_state(worker: WorkerProcess) -> None:
    journal: list[pb.JournalStep] = []
    for n in (1, 2, 3):
        answer = think(worker, {"do": "count"}, journal)
        assert answer.strategy_state == str(n)
        if n < 3:
            assert json.loads(answer.proposal.calls[0].args) == {"n": n}
        journal.append(pb.JournalStep(no=n, think=pb.JournalStep.Think(proposal=answer.proposal, strategy_state=answer.strategy_state)))
    assert answer.proposal.output == "3"


def test_the_agent_streams(worker: WorkerProcess) -> None:
    request = pb.ExecuteStepRequest(kind=pb.STEP_KIND_THINK, input_payload='{"do": "stream", "text": "一二三四五六七八九"}')
    events = list(worker.stub().ExecuteStepStream(request, timeout=5))
    assert "".join(event.delta for event in events) == "一二三四五六七八九" and len(events) > 2
    assert json.loads(events[-1].response.proposal.output) == "一二三四五六七八九"


@pytest.mark.parametrize("step", [tool_step("conformance_crash"), pb.ExecuteStepRequest(kind=pb.STEP_KIND_THINK, input_payload='{"do": "crash"}')])
def test_a_crash_ends_the_process_without_an_answer(step: pb.ExecuteStepRequest) -> None:
    with launched("conformance_worker") as worker:
        with pytest.raises(grpc.RpcError) as broken:
            worker.stub().ExecuteStep(step, timeout=10)
        assert broken.value.code() is grpc.StatusCode.UNAVAILABLE
        assert worker.process.wait(5) == 70
