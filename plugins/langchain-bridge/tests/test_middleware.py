from __future__ import annotations

import pytest

from openeaap_langchain_bridge.installed_langchain import installed_versions
from tests.harness.model_double import calls, says
from tests.harness.run_driver import output, proposed

pytestmark = pytest.mark.skipif(installed_versions()["langchain"].startswith("0."), reason="middleware came with LangChain 1")


def test_a_prompt_and_a_tool_list_that_middleware_changes_are_so_in_every_think(start, model) -> None:
    run = start("middleware", "Look.")
    model.will(calls(("c1", "look_up", {"ip": "1"})), calls(("c2", "block", {"ip": "1"})), says("Done."))
    run.think()
    run.answer("bad")
    assert proposed(run.think()) == [("block", {"ip": "1"})]
    run.answer("blocked")
    assert output(run.think()) == "Done."
    assert [request["messages"][0]["content"] for request in model.requests] == ["Round 1.", "Round 2.", "Round 3."]
    assert [[tool["function"]["name"] for tool in request["tools"]] for request in model.requests] == [["look_up"], ["look_up", "block"], ["look_up", "block"]]


def test_messages_that_a_summary_replaced_stay_replaced(start, model) -> None:
    run = start("summarized", "Look at many.")
    summaries = []

    def answer(body):
        if "tools" in body:
            return calls((f"c{len(model.requests)}", "look_up", {"ip": str(len(model.requests))}), text=f"Looking at number {len(model.requests)}, as the user asked me to do.")
        summaries.append(body)
        return says("SUMMARY: much was looked at, and nothing was found so far.")

    model.answer = answer
    for _ in range(8):
        response = run.think()
        run.answer(*(f"nothing about {call.id}, which is an answer of some length" for call in response.proposal.calls))
    assert summaries
    last = [request for request in model.requests if "tools" in request][-1]
    assert "SUMMARY" in str(last["messages"]) and len(last["messages"]) <= 7
    assert "Look at many." not in str(last["messages"])


def test_a_reviewed_call_is_proposed_at_once_since_the_platform_reviews_it(start, model) -> None:
    run = start("reviewed", "Block.")
    model.will(calls(("c1", "block", {"ip": "1"}), ("c2", "look_up", {"ip": "1"})), says("Done."))
    assert sorted(proposed(run.think())) == [("block", {"ip": "1"}), ("look_up", {"ip": "1"})]
    assert len(model.requests) == 1
    run.answer(*("rejected" if call.tool == "look_up" else RuntimeError("rejected", "No.") for call in run.journal[-1].think.proposal.calls))
    assert output(run.think()) == "Done."
    assert "No." in str(model.requests[1]["messages"])


def test_a_tool_that_only_changes_the_graph_runs_in_the_think_and_is_reported(start, model) -> None:
    run = start("todos", "Plan.")
    todos = [{"content": "look", "status": "in_progress"}]
    model.will(calls(("t", "write_todos", {"todos": todos}), text="First a plan."), calls(("c", "look_up", {"ip": "1"})), says("Done."))
    first = run.think()
    assert proposed(first) == [] and first.proposal.thought == "First a plan."
    assert [log.tool for log in first.audit_logs] == ["write_todos"] and first.audit_logs[0].status == "done"
    assert len(model.requests) == 1
    assert proposed(run.think()) == [("look_up", {"ip": "1"})]
    assert "look" in str(model.requests[1]["messages"][-1])
    run.answer("ok")
    assert output(run.think()) == "Done."
    assert len(model.requests) == 3


def test_a_structured_answer_is_the_output_as_json(start, model) -> None:
    run = start("structured", "Judge.")
    model.will(calls(("c1", "look_up", {"ip": "1"})), calls(("v", "Verdict", {"malicious": True, "reason": "90"})))
    assert proposed(run.think()) == [("look_up", {"ip": "1"})]
    run.answer("90")
    assert output(run.think()) == {"malicious": True, "reason": "90"}
