from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.model_double import calls, says
from tests.harness.run_driver import output, proposed

KINDS = ["executor", "agent", "graph"]


@pytest.mark.parametrize("agent", KINDS)
def test_a_think_asks_the_model_once_and_proposes_what_it_wants(start, model, effects: Path, agent: str) -> None:
    run = start(agent, "Look at 9.9.9.9.")
    model.will(calls(("c1", "look_up", {"ip": "9.9.9.9"}), text="I look first."), calls(("c2", "block", {"ip": "9.9.9.9"})), says("Blocked."))

    first = run.think()
    assert proposed(first) == [("look_up", {"ip": "9.9.9.9"})]
    assert first.proposal.thought == "I look first."
    assert len(model.requests) == 1

    run.answer({"ip": "9.9.9.9", "score": 90})
    assert proposed(run.think()) == [("block", {"ip": "9.9.9.9"})]
    assert len(model.requests) == 2
    seen = model.requests[1]["messages"]
    assert [message["role"] for message in seen] == ["system", "user", "assistant", "tool"]
    assert seen[3]["content"] == '{"ip": "9.9.9.9", "score": 90}'

    run.answer("9.9.9.9 is blocked")
    assert output(run.think()) == "Blocked."
    assert len(model.requests) == 3
    assert not effects.exists() or effects.read_text() == ""
