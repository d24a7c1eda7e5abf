from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage, SystemMessage, ToolMessage
from langgraph.types import Interrupt, Send
from openeaap.sdk import ActEntry, Proposal, ProposedCall, StepFailed, ThinkEntry

from openeaap_langchain_bridge.journal import answers_of, corrections_of, text_of, transcript_of
from openeaap_langchain_bridge.state_codec import StateCodec

INPUT = {"alert": "a long alert that is worth a reference into the journal"}
THOUGHT = "I look the address up before I say anything about it."
ARGS = {"ip": "203.0.113.7", "why": "because the user asked for it, twice"}
OUTPUT = {"score": 90, "tags": ["scanner", "botnet", "tor", "abuse", "spam"]}
JOURNAL = [
    ThinkEntry(1, "s1", Proposal(THOUGHT, [ProposedCall("c1", "look_up", ARGS)])),
    ActEntry(2, "s2", "c1", "look_up", ARGS, "done", {"output": OUTPUT}, 1),
]


@dataclass
class Point:
    x: int


VALUES = [
    None,
    1.5,
    "text",
    "ä" * 100,
    [1, [2, "three"]],
    {"a": {"b": None}},
    {"$ref": "not a reference of ours"},
    {"$message": ["human", {}], "and": "more"},
    {1: "keys that are no text"},
    (1, ("two",)),
    {"a", "b"},
    b"bytes",
    Point(3),
    Send("tools", [{"name": "look_up", "args": {}, "id": "c1", "type": "tool_call"}]),
    HumanMessage("hello", id="h1"),
    SystemMessage("rules"),
    ToolMessage("result", tool_call_id="c1", name="look_up", status="error"),
    AIMessage("text", tool_calls=[{"name": "look_up", "args": {"ip": "1"}, "id": "c1", "type": "tool_call"}], id="a1", response_metadata={"finish_reason": "stop"}, usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}),
    AIMessage([{"type": "text", "text": "in parts"}]),
    RemoveMessage(id="a1"),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_comes_back_as_it_was(value) -> None:
    codec = StateCodec(INPUT, JOURNAL)
    tree = json.loads(json.dumps(codec.encode(value)))
    back = codec.decode(tree)
    assert back == value and type(back) is type(value)


def test_an_interrupt_comes_back_with_its_id() -> None:
    codec = StateCodec(INPUT, JOURNAL)
    back = codec.decode(json.loads(json.dumps(codec.encode(Interrupt(value={"q": 1}, id="i1")))))
    assert back.id == "i1" and back.value == {"q": 1}


def test_what_the_journal_has_is_a_reference_and_nothing_of_it_is_stored() -> None:
    messages = [HumanMessage(text_of(INPUT)), AIMessage(THOUGHT, tool_calls=[{"name": "look_up", "args": ARGS, "id": "c1", "type": "tool_call"}]), answers_of(JOURNAL)["c1"].to_message()]
    codec = StateCodec(INPUT, JOURNAL)
    text = json.dumps(codec.encode(messages))
    assert "alert" not in text and "look the address" not in text and "203.0.113.7" not in text and "botnet" not in text
    assert codec.decode(json.loads(text)) == messages


def test_a_think_refers_to_its_own_proposal_as_the_journal_will_have_it() -> None:
    proposal = Proposal("A thought that comes only now, and is long enough to count.")
    tree = StateCodec(INPUT, JOURNAL, 3, proposal).encode([proposal.thought])
    assert tree == [{"$ref": "thought:3"}]
    # The platform may have masked it: what the journal has is what counts.
    masked = ThinkEntry(3, "s3", Proposal("A thought with a <name> in it that was masked by the platform."))
    assert StateCodec(INPUT, [*JOURNAL, masked]).decode(tree) == [masked.proposal.thought]


def test_an_object_and_the_text_of_its_json_are_two_values() -> None:
    codec = StateCodec(INPUT, JOURNAL)
    for value in (ARGS, json.dumps(ARGS, sort_keys=True), OUTPUT, json.dumps(OUTPUT)):
        assert codec.decode(json.loads(json.dumps(codec.encode(value)))) == value


def test_a_reference_that_leads_nowhere_and_a_value_that_cannot_be_kept_are_said() -> None:
    with pytest.raises(StepFailed, match="'act:c9'"):
        StateCodec(INPUT, JOURNAL).decode({"$ref": "act:c9"})
    with pytest.raises(StepFailed, match="cannot be kept between two steps"):
        StateCodec(INPUT, JOURNAL).encode({"lock": __import__("threading").Lock()})


def test_the_journal_reads_as_a_conversation() -> None:
    failed = ActEntry(3, "s3", "c2", "block", {}, "denied", {"error": {"code": "denied", "message": "No."}}, 1)
    journal = [ThinkEntry(1, "s1", Proposal(THOUGHT, [ProposedCall("c1", "look_up", ARGS), ProposedCall("c2", "block", "{no json")])), JOURNAL[1], failed]
    human, ai, looked_up, blocked = transcript_of("Look.", journal)
    assert (human.content, ai.content) == ("Look.", THOUGHT)
    assert [call["args"] for call in ai.tool_calls] == [ARGS, {}]
    assert (looked_up.status, json.loads(looked_up.content)) == ("success", OUTPUT)
    assert (blocked.status, blocked.content) == ("error", '{"error": {"code": "denied", "message": "No."}}')


def test_only_what_failed_since_the_last_good_think_is_corrected() -> None:
    from openeaap.sdk import ErrorCode, StepErrorInfo

    def failed(no: int, why: str) -> ThinkEntry:
        return ThinkEntry(no, f"s{no}", None, StepErrorInfo(ErrorCode.MODEL_INVALID_OUTPUT, why))

    journal = [failed(1, "Old."), JOURNAL[0], JOURNAL[1], failed(3, "Empty."), failed(4, "Empty again.")]
    assert [message.content for message in corrections_of(journal)] == ["Your last reply could not be used: Empty. Reply again.", "Your last reply could not be used: Empty again. Reply again."]
