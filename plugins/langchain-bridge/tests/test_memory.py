"""Nothing is remembered between two steps but the journal, and the journal does not swell."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.harness.bridge_process import BridgeProcess
from tests.harness.model_double import calls, says
from tests.harness.run_driver import Run, output, proposed

KINDS = ["executor", "react", "agent", "graph", "two_models"]


def looks(n: int, agent: str):
    if agent == "react":
        return says(f"Thought: number {n}\nAction: look_up\nAction Input: 10.0.0.{n}")
    return calls((f"c{n}", "look_up", {"ip": f"10.0.0.{n}"}), text=f"This is look number {n}, of which there are many.")


def test_runs_go_on_in_another_process_after_a_kill(effects: Path, model) -> None:
    # LangGraph's interrupt() needs Python 3.11 where a graph runs async.
    agents = ["executor", "react", "agent", "graph", "two_models", *(["asks"] if sys.version_info >= (3, 11) else [])]
    first = BridgeProcess("agents.py")
    tools = list(first.handshake().tools)
    runs = {agent: Run(first, model, agent, "Look.", tools) for agent in agents}
    for agent, run in runs.items():
        model.script.clear()
        model.will(looks(1, agent))
        assert len(proposed(run.think())) == (0 if agent == "two_models" else 1)
    first.kill()
    second = BridgeProcess("agents.py")
    try:
        for agent, run in runs.items():
            run.bridge = second
            model.script.clear()
            if agent == "asks":
                run.answer({"answer": "yes"})
                assert proposed(run.think()) == [("ask_person", {"request": "For how long?"})]
                continue
            if agent != "two_models":
                run.answer("found it")
            model.will(says("Final Answer: done") if agent == "react" else says("done"))
            assert output(run.think()) == (["done", "plan", "close"] if agent == "two_models" else "done")
            assert agent == "two_models" or "found it" in str(model.requests[-1]["messages"])
    finally:
        second.close()


@pytest.mark.parametrize("agent", KINDS)
def test_the_same_think_twice_is_the_same_request_to_the_model(start, model, agent: str) -> None:
    run = start(agent, "Look.")
    model.answer = lambda body: looks(len(model.requests), agent)
    for _ in range(3):
        response = run.think()
        run.answer(*("ok" for _ in response.proposal.calls))
    request = run.request()
    model.requests.clear()
    for _ in range(2):
        run.bridge.stub.ExecuteStep(request, timeout=20)
    assert len(model.requests) == 2 and model.requests[0] == model.requests[1]


@pytest.mark.parametrize(("agent", "thinks"), [("agent", 100), ("executor", 30)])
def test_a_late_think_keeps_as_little_as_the_tenth(start, model, agent: str, thinks: int) -> None:
    run = start(agent, "Look at a hundred addresses, and be patient with it, since each takes a while.")
    run.settings = {"max_iterations": 1_000}
    model.answer = lambda body: looks(len(model.requests), agent)
    for n in range(thinks):
        response = run.think()
        if response.HasField("error"):
            raise AssertionError(response.error)
        run.answer(*("A result of some length, as tools return them: " + "x" * 500 for _ in response.proposal.calls))
    sizes = [len(state) for state in run.states()]
    assert 0 < sizes[-1] <= 2 * sizes[9], sizes
    # A tool's result is in the journal already.
    assert max(sizes) < 8_000, sizes
    assert "x" * 500 not in "".join(run.states())
    assert len(model.requests[-1]["messages"]) >= 2 * (thinks - 1)
