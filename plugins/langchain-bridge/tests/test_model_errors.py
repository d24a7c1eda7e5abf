from __future__ import annotations

import threading

import grpc
import pytest

from tests.harness.model_double import BrokenStream, Fault, says
from tests.harness.run_driver import output

UNAVAILABLE, INVALID_OUTPUT, REJECTED, INTERNAL, INVALID_INPUT = 4, 5, 6, 10, 1


@pytest.mark.parametrize("agent", ["executor", "agent", "graph"])
@pytest.mark.parametrize(
    ("reply", "code", "retryable"),
    [
        (Fault(401, "The step is over."), REJECTED, False),
        (Fault(429, "Slow down."), UNAVAILABLE, True),
        (Fault(429, "Nothing is left.", "insufficient_quota"), REJECTED, False),
        (Fault(400, "No such parameter."), REJECTED, False),
        (Fault(503, "Down."), UNAVAILABLE, True),
    ],
)
def test_what_the_gateway_says_is_told_with_the_right_code_and_asked_once(start, model, agent: str, reply: Fault, code: int, retryable: bool) -> None:
    model.will(reply)
    error = start(agent, "Hello.").think().error
    assert (error.code, error.retryable) == (code, retryable)
    assert reply.message in error.message
    assert len(model.requests) == 1


def test_an_answer_that_breaks_off_is_a_model_that_is_not_there(start, model) -> None:
    model.will(BrokenStream("Half an ans"))
    error = start("agent", "Hello.").think().error
    assert error.code == UNAVAILABLE and error.retryable


def test_a_gateway_that_is_not_there_is_unavailable(start, model) -> None:
    run = start("agent", "Hello.")
    request = run.request()
    request.ephemeral_credentials["OPENEAAP_GATEWAY_URL"] = "http://127.0.0.1:9/v1"
    error = run.bridge.stub.ExecuteStep(request, timeout=20).error
    assert error.code == UNAVAILABLE and error.retryable


def test_the_token_is_in_no_error(start, model) -> None:
    model.will(Fault(400, "The key step-token-0123456789 is odd."))
    run = start("agent", "Hello.")
    error = run.think().error
    assert run.token not in error.message and "is odd" in error.message
    assert run.token not in run.bridge.stderr()


@pytest.mark.parametrize("reply", [says("Half a sen", finish_reason="length"), says("")])
@pytest.mark.parametrize("agent", ["executor", "agent", "chain"])
def test_a_reply_that_nothing_can_be_made_of_is_invalid_output(start, model, agent: str, reply) -> None:
    model.will(reply, says("Better."))
    run = start(agent, "Hello.")
    assert run.think().error.code == INVALID_OUTPUT
    assert output(run.think()) == "Better."


def test_a_mistake_of_the_author_is_internal_and_its_text_stays_inside(start) -> None:
    error = start("broken", "Hello.").think().error
    assert error.code == INTERNAL and "KeyError" in error.message and "sk-secret" not in error.message
    assert "returned a int" in start("nonsense", "Hello.").think().error.message


def test_a_think_without_a_gateway_says_what_is_missing(start) -> None:
    run = start("agent", "Hello.")
    request = run.request()
    del request.ephemeral_credentials["OPENEAAP_GATEWAY_URL"]
    error = run.bridge.stub.ExecuteStep(request, timeout=20).error
    assert error.code == INVALID_INPUT and "OPENEAAP_GATEWAY_URL" in error.message


def test_a_cancelled_think_is_over_and_the_bridge_goes_on(start, model) -> None:
    run = start("agent", "Hello.")
    model.hold = threading.Event()
    under_way = run.bridge.stub.ExecuteStep.future(run.request(), timeout=20)
    while not model.requests and not under_way.done():
        threading.Event().wait(0.02)
    under_way.cancel()
    with pytest.raises(grpc.FutureCancelledError):
        under_way.result()
    model.answer = lambda body: says("Still here.")
    model.hold.set()
    model.hold = None
    assert output(run.think()) == "Still here."
