from __future__ import annotations

from tests.harness.model_double import calls, says
from tests.harness.run_driver import output, proposed


def test_a_text_agent_thinks_acts_and_finishes(start, model) -> None:
    run = start("react", "Is 9.9.9.9 bad?")
    model.will(says("I should look.\nAction: look_up\nAction Input: 9.9.9.9"), says('Thought: search it\nAction: search\nAction Input: "9.9.9.9 reputation"'), says("Thought: I know.\nFinal Answer: It is bad."))
    first = run.think()
    assert proposed(first) == [("look_up", {"ip": "9.9.9.9"})]
    assert first.proposal.thought == "I should look."
    assert "look_up" in model.requests[0]["messages"][0]["content"]
    run.answer({"score": 90})
    assert proposed(run.think()) == [("search", {"__arg1": "9.9.9.9 reputation"})]
    scratchpad = model.requests[1]["messages"][0]["content"]
    assert "I should look.\nAction: look_up\nAction Input: 9.9.9.9\nObservation: {\"score\": 90}\nThought: " in scratchpad
    run.answer("many reports")
    assert output(run.think()) == "It is bad."


def test_a_reply_that_cannot_be_read_is_answered_as_handle_parsing_errors_says(start, model) -> None:
    run = start("react", "Hm?")
    model.will(says("no form at all"), says("Final Answer: ok"))
    first = run.think()
    assert proposed(first) == [] and first.proposal.thought and not first.proposal.HasField("output")
    assert output(run.think()) == "ok"
    scratchpad = model.requests[1]["messages"][0]["content"]
    assert "no form at all" in scratchpad and "Invalid Format" in scratchpad


def test_without_handle_parsing_errors_it_is_told_to_the_platform(start, model) -> None:
    run = start("react", "Hm?", settings={"handle": False})
    model.will(says("no form at all"), says("Final Answer: ok"))
    failed = run.think()
    assert failed.error.code == 5 and "no form at all" in failed.error.message
    assert output(run.think()) == "ok"
    assert "could not be used" in model.requests[1]["messages"][-1]["content"]


def test_max_iterations_ends_the_run_in_langchains_words(start, model) -> None:
    run = start("executor", "Look for ever.")
    model.answer = lambda body: calls(("c", "look_up", {"ip": "1.1.1.1"}))
    for _ in range(4):
        assert len(proposed(run.think())) == 1
        run.answer("nothing")
    assert "Agent stopped due to" in output(run.think())
    assert len(model.requests) == 4


def test_the_result_of_a_direct_return_is_the_answer_without_another_model_call(start, model) -> None:
    run = start("executor", "Hand over.")
    model.will(calls(("c", "hand_over", {"to": "tier 2"})))
    assert proposed(run.think()) == [("hand_over", {"to": "tier 2"})]
    run.answer("tier 2 has it")
    assert output(run.think()) == "tier 2 has it"
    assert len(model.requests) == 1


def test_intermediate_steps_are_returned_where_the_executor_returns_them(start, model) -> None:
    run = start("executor", "Look.", settings={"steps": True})
    model.will(calls(("c", "look_up", {"ip": "1.1.1.1"})), says("Done."))
    run.think()
    run.answer({"score": 1})
    found = output(run.think())
    assert found["output"] == "Done."
    assert found["intermediate_steps"][0][0]["tool"] == "look_up" and found["intermediate_steps"][0][1] == '{"score": 1}'


def test_the_prompt_of_the_executor_is_the_one_that_the_model_sees(start, model) -> None:
    run = start("executor", {"input": "Look.", "house_rules": "Be rude."})
    model.will(says("Done."))
    assert output(run.think()) == "Done."
    assert [message["content"] for message in model.requests[0]["messages"]] == ["You triage. Be rude.", "Look."]
