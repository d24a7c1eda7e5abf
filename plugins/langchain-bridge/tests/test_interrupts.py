from __future__ import annotations

import json
import sys

import pytest

from tests.harness.run_driver import output, proposed, tool_step

asks = pytest.mark.skipif(sys.version_info < (3, 11), reason="LangGraph's interrupt() needs Python 3.11 where a graph runs async")


@asks
def test_a_question_of_the_graph_is_a_call_and_its_answer_resumes_the_graph(start) -> None:
    run = start("asks", "Go.")
    assert proposed(run.think()) == [("ask_person", {"request": {"question": "Block it?"}})]
    run.answer({"answer": "yes"})
    assert proposed(run.think()) == [("ask_person", {"request": "For how long?"})]
    run.answer({"answer": 30})
    assert output(run.think()) == "yes / 30"


@asks
def test_a_question_that_was_rejected_is_answered_with_the_error(start) -> None:
    run = start("asks", "Go.")
    run.think()
    run.answer(RuntimeError("rejected", "Nobody answers this."))
    assert len(proposed(run.think())) == 1
    run.answer({"answer": 30})
    assert output(run.think()) == "{'error': {'code': 'rejected', 'message': 'Nobody answers this.'}} / 30"


def test_the_question_tool_returns_the_answer_and_fails_without_one(bridge) -> None:
    spec = next(tool for tool in bridge.handshake().tools if tool.name == "ask_person")
    assert spec.effect == 2 and spec.idempotent
    answered = tool_step(bridge, "ask_person", {"request": "Sure?", "answer": {"minutes": 5}})
    assert json.loads(answered.output_payload) == {"answer": {"minutes": 5}}
    unanswered = tool_step(bridge, "ask_person", {"request": "Sure?"})
    assert unanswered.error.code == 2 and "`answer`" in unanswered.error.message


@asks
def test_a_question_without_a_tool_for_it_says_what_to_do(start) -> None:
    failed = start("asks_nobody", "Go.").think()
    assert failed.error.code == 10 and "interrupt_tool" in failed.error.message


@asks
def test_a_question_whose_tool_is_blocked_is_not_asked(start) -> None:
    failed = start("asks", "Go.", blocked=["ask_person"]).think()
    assert failed.error.code == 1 and "ask_person" in failed.error.message
