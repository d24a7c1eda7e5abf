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


@pytest.mark.parametrize("agent", [*KINDS, "chain"])
def test_parallel_calls_are_one_proposal_and_are_answered_one_by_one(start, model, effects: Path, agent: str) -> None:
    run = start(agent, "Look at both.")
    model.will(calls(("a", "look_up", {"ip": "1.1.1.1"}), ("b", "look_up", {"ip": "2.2.2.2"}), ("c", "block", {"ip": "3.3.3.3"})), says("Done."))
    assert proposed(run.think()) == [("look_up", {"ip": "1.1.1.1"}), ("look_up", {"ip": "2.2.2.2"}), ("block", {"ip": "3.3.3.3"})]
    run.answer("one", RuntimeError("rejected", "Somebody said no."), RuntimeError("denied", "Not you."))
    assert output(run.think()) == "Done."
    answers = {message["tool_call_id"]: message["content"] for message in model.requests[1]["messages"] if message["role"] == "tool"}
    assert answers["a"] == "one"
    assert "Somebody said no." in answers["b"] and "rejected" in answers["b"]
    assert "Not you." in answers["c"]
    assert not effects.exists() or effects.read_text() == ""


def test_more_calls_than_a_think_may_have_are_proposed_in_turns(start, model) -> None:
    run = start("graph", "Look at many.")
    model.will(calls(*((f"c{n}", "look_up", {"ip": f"10.0.0.{n}"}) for n in range(20))), says("Done."))
    first = run.think()
    run.answer(*(f"answer {n}" for n in range(16)))
    second = run.think()
    assert [call.id for call in [*first.proposal.calls, *second.proposal.calls]] == [f"c{n}" for n in range(20)]
    assert len(model.requests) == 1
    run.answer(*(f"answer {n}" for n in range(16, 20)))
    assert output(run.think()) == "Done."
    assert [m["content"] for m in model.requests[1]["messages"] if m["role"] == "tool"] == [f"answer {n}" for n in range(20)]


@pytest.mark.parametrize("agent", KINDS)
def test_a_model_that_numbers_its_calls_anew_in_each_reply_gets_each_call_its_own_answer(start, model, agent: str) -> None:
    run = start(agent, "Look at two.")
    model.will(calls(("call_0", "look_up", {"ip": "1.1.1.1"})), calls(("call_0", "look_up", {"ip": "2.2.2.2"})), says("Done."))
    assert proposed(run.think()) == [("look_up", {"ip": "1.1.1.1"})]
    run.answer("first")
    assert proposed(run.think()) == [("look_up", {"ip": "2.2.2.2"})]
    run.answer("second")
    assert output(run.think()) == "Done."
    assert [m["content"] for m in model.requests[2]["messages"] if m["role"] == "tool"] == ["first", "second"]


@pytest.mark.parametrize("agent", KINDS)
def test_a_blocked_tool_is_neither_shown_to_the_model_nor_proposed(start, model, agent: str) -> None:
    run = start(agent, "Block it.", blocked=["block"])
    model.will(calls(("x", "block", {"ip": "9.9.9.9"})), says("I could not."))
    response = run.think()
    assert proposed(response) == []
    shown = [tool["function"]["name"] for tool in model.requests[0]["tools"]]
    assert "block" not in shown and "look_up" in shown
    # The model asked for it all the same: it is told, at the next think.
    assert output(run.think()) == "I could not."
    told = model.requests[1]["messages"][-1]
    assert told["role"] == "tool" and "not" in told["content"] and "block" in told["content"]


def test_when_no_tool_is_left_the_model_is_offered_none(start, model) -> None:
    run = start("agent", "Hello.", tools=[])
    model.will(says("Hello."))
    assert output(run.think()) == "Hello."
    assert "tools" not in model.requests[0] and "tool_choice" not in model.requests[0]


@pytest.mark.parametrize("agent", KINDS)
def test_the_token_of_the_step_and_its_limit_reach_the_model(start, model, agent: str) -> None:
    run = start(agent, "Hello.", max_tokens=123, system_prompt="Say hello.")
    model.will(says("Hello."))
    response = run.think()
    assert model.tokens == [f"Bearer {run.token}"]
    request = model.requests[0]
    assert request.get("max_tokens", request.get("max_completion_tokens")) == 123
    assert request["model"] == "double" and request["temperature"] == 0.2
    assert response.metadata["prompt_tokens"] == "11" and response.metadata["completion_tokens"] == "7"


@pytest.mark.parametrize("agent", KINDS)
def test_tools_of_the_platform_are_offered_when_the_agent_is_configured_so(start, model, bridge, agent: str) -> None:
    from openeaap._proto import runtime_pb2 as pb

    foreign = pb.ToolSpec(name="cmdb_lookup", description="Asks the CMDB.", input_schema='{"type":"object","properties":{"host":{"type":"string"}},"required":["host"]}')
    tools = [*bridge.handshake().tools, foreign]
    without = start(agent, "Whose host?", tools=tools)
    model.will(says("I do not know."))
    without.think()
    assert "cmdb_lookup" not in str(model.requests[0]["tools"])

    run = start(agent, "Whose host?", tools=tools, settings={"platform_tools": True})
    model.will(calls(("p", "cmdb_lookup", {"host": "db1"})), says("Ann's."))
    assert proposed(run.think()) == [("cmdb_lookup", {"host": "db1"})]
    offered = next(tool["function"] for tool in model.requests[1]["tools"] if tool["function"]["name"] == "cmdb_lookup")
    assert offered["parameters"]["required"] == ["host"] and offered["description"] == "Asks the CMDB."
    run.answer({"owner": "ann"})
    assert output(run.think()) == "Ann's."
    assert model.requests[2]["messages"][-1]["content"] == '{"owner": "ann"}'


def test_an_agent_is_built_with_what_the_platform_says_of_the_run(start) -> None:
    run = start("context", {"a": 1}, blocked=["block"], dry_run=True, max_tokens=50, settings={"x": [1]}, system_prompt="Be kind.")
    seen = output(run.think())
    assert "look_up" in seen.pop("tools") and seen.pop("allowed") == ["look_up", "hand_over"]
    assert seen == {"dry_run": True, "blocked": ["block"], "max_tokens": 50, "settings": {"x": [1]}, "prompt": "Be kind.", "input": {"a": 1}}


def test_a_node_may_ask_twice_within_the_tokens_of_the_think(start, model) -> None:
    run = start("twice", "Go.", max_tokens=20)
    model.will(says("First."), says("Second."))
    assert output(run.think()) == "First. Second."
    assert [request.get("max_tokens", request.get("max_completion_tokens")) for request in model.requests] == [20, 13]


def test_a_graph_can_be_built_of_the_platforms_tools(start, model) -> None:
    run = start("platform_graph", "Look.")
    model.will(calls(("p", "look_up", {"ip": "1.1.1.1"})), says("Done."))
    assert proposed(run.think()) == [("look_up", {"ip": "1.1.1.1"})]
    run.answer("ok")
    assert output(run.think()) == "Done."


@pytest.mark.parametrize("agent", [*KINDS, "chain"])
def test_the_text_of_the_model_is_shown_as_it_comes(start, model, agent: str) -> None:
    run = start(agent, "Hello.")
    model.will(says("A rather long greeting, in several pieces."))
    assert output(run.think_stream()) == "A rather long greeting, in several pieces."
    assert len(run.deltas) > 2 and "".join(run.deltas) == "A rather long greeting, in several pieces."


@pytest.mark.parametrize("agent", KINDS)
def test_a_failed_think_is_done_again_and_the_model_is_told_why(start, model, agent: str) -> None:
    run = start(agent, "Look.")
    model.will(calls(("c1", "look_up", '{"ip": '), text=""), calls(("c2", "look_up", {"ip": "1.1.1.1"})), says("Done."))
    failed = run.think()
    assert failed.error.code == 5 and "look_up" in failed.error.message and '{"ip": ' in failed.error.message
    assert proposed(run.think()) == [("look_up", {"ip": "1.1.1.1"})]
    told = model.requests[1]["messages"][-1]
    assert told["role"] == "user" and "could not be used" in told["content"] and "look_up" in told["content"]
    run.answer("ok")
    assert output(run.think()) == "Done."
    assert "could not be used" not in str(model.requests[2]["messages"])


def test_each_model_node_is_a_think_of_its_own_and_no_node_is_lost_or_doubled(start, model) -> None:
    run = start("two_models", "Work.")
    model.will(says("The plan."), calls(("c1", "look_up", {"ip": "1.1.1.1"})), says("Found it."))
    first = run.think()
    assert proposed(first) == [] and first.proposal.thought == "The plan." and not first.proposal.HasField("output")
    assert len(model.requests) == 1
    assert proposed(run.think()) == [("look_up", {"ip": "1.1.1.1"})]
    assert len(model.requests) == 2
    run.answer("ok")
    assert output(run.think()) == ["Found it.", "plan", "close"]
    assert len(model.requests) == 3


def test_nodes_side_by_side_ask_in_one_think_and_what_comes_after_in_the_next(start, model) -> None:
    run = start("fan_out", "Think.")
    model.answer = lambda body: says(f"Opinion {len(body['messages'])}.")
    first = run.think()
    assert proposed(first) == [] and first.proposal.thought == "Opinion 1." and len(model.requests) == 2
    assert output(run.think()) == "Opinion 3." and len(model.requests) == 3


def test_a_tool_that_a_node_runs_past_the_platform_is_stopped_before_it_does(start, model, effects: Path) -> None:
    failed = start("direct", "Go.").think()
    assert failed.error.code == 10 and "block" in failed.error.message and "ctx.propose" in failed.error.message
    assert not effects.exists() or effects.read_text() == ""


def test_a_node_can_call_a_tool_through_the_platform(start, model, effects: Path) -> None:
    run = start("proposing", "Go.")
    assert proposed(run.think()) == [("look_up", {"ip": "1.1.1.1"})]
    run.answer({"score": 42})
    assert output(run.think()) == "score 42"
    assert not effects.exists() or effects.read_text() == ""


def test_input_and_output_of_another_shape_are_mapped_by_the_author(start) -> None:
    assert output(start("asks_with_objects", {"a": 1}).think()) == {"seen": {"a": 1}}


def test_an_object_with_the_graphs_channels_is_its_input(start, model) -> None:
    run = start("graph", {"messages": [{"role": "user", "content": "One."}, {"role": "assistant", "content": "Two."}, {"role": "user", "content": "Three."}]})
    model.will(says("Four."))
    assert output(run.think()) == "Four."
    assert [message["content"] for message in model.requests[0]["messages"][1:]] == ["One.", "Two.", "Three."]


def test_any_other_input_is_what_the_user_says_as_json(start, model) -> None:
    run = start("agent", {"alert": "äöü"})
    model.will(says("Ok."))
    run.think()
    assert model.requests[0]["messages"][-1]["content"] == '{"alert": "äöü"}'


def test_a_state_that_is_too_large_is_refused_with_the_name_of_the_channel(start, model) -> None:
    run = start("big_state", "Go.")
    model.will(calls(("c", "look_up", {"ip": "1"})))
    failed = run.think()
    assert failed.error.code == 10 and "'heap'" in failed.error.message
