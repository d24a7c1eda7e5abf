"""What the model is told of a run, and what becomes of what it says."""

from typing import Any

import pytest
from llama_index.core.base.llms.types import ToolCallBlock
from llama_index.core.llms import ChatMessage
from llama_index.llms.openai.utils import to_openai_message_dicts

from chat_history import to_chat_history, to_question
from offered_tool import offered_tools
from openeaap.sdk import UNSET, ActEntry, Constraints, ErrorCode, Proposal, ProposedCall, StepErrorInfo, StepFailed, ThinkEntry, ThinkRequest, ToolInfo
from researcher import PROMPT, Reply, to_proposal

OPEN_SCHEMA = {"type": "object", "properties": {"ip": {"type": "string"}}, "allOf": [{"required": ["ip"]}]}


def think(no: int, *calls: ProposedCall, thought: str = "") -> ThinkEntry:
    return ThinkEntry(no, f"step-{no}", Proposal(thought=thought, calls=calls))


def act(no: int, call_id: str, args: Any, observation: dict[str, Any], think_no: int, status: str = "done") -> ActEntry:
    return ActEntry(no, f"step-{no}", call_id, "lookup", args, status, observation, think_no)


def test_calls_that_were_made_together_are_one_message_and_a_result_each() -> None:
    journal = [
        think(1, ProposedCall("a", "lookup", {"ip": "1"}), ProposedCall("b", "lookup", {"ip": "2"}), thought="Both."),
        act(2, "a", {"ip": "edited"}, {"output": {"名": "值"}}, think_no=1),
        act(3, "b", {"ip": "2"}, {"error": {"code": "rejected", "message": "no"}}, think_no=1, status="rejected"),
    ]
    assistant, first, second = to_openai_message_dicts(to_chat_history(journal))
    assert assistant["content"] == "Both."
    assert [(call["id"], call["function"]["arguments"]) for call in assistant["tool_calls"]] == [("a", '{"ip": "edited"}'), ("b", '{"ip": "2"}')]
    assert (first["role"], first["tool_call_id"], first["content"]) == ("tool", "a", '{"output": {"名": "值"}}')
    assert (second["tool_call_id"], second["content"]) == ("b", '{"error": {"code": "rejected", "message": "no"}}')


def test_a_think_that_failed_is_a_correction_and_malformed_arguments_are_sent_as_none() -> None:
    failed = ThinkEntry(1, "step-1", None, StepErrorInfo(ErrorCode.MODEL_INVALID_OUTPUT, "The reply was empty."))
    journal = [failed, think(2, ProposedCall("a", "lookup", "{ip:")), act(3, "a", "{ip:", {"error": {"code": "invalid_input"}}, think_no=2, status="invalid")]
    correction, assistant, _ = to_openai_message_dicts(to_chat_history(journal))
    assert correction == {"role": "user", "content": "Your last reply could not be used: The reply was empty. Reply again."}
    assert assistant["tool_calls"][0]["function"]["arguments"] == "{}"


def test_braces_in_prompt_and_input_are_text() -> None:
    system, user = PROMPT.format_messages(system_prompt="Use {name} and {{x}}.", question=to_question({"do": {"a": "{b}"}}))
    assert str(system.content).startswith("Use {name} and {{x}}.")
    assert user.content == '{\n  "do": {\n    "a": "{b}"\n  }\n}'


def test_schemas_reach_the_model_as_the_platform_has_them_and_blocked_tools_do_not() -> None:
    tools = [ToolInfo("lookup", "1", "d" * 5_000, OPEN_SCHEMA, "read"), ToolInfo("block", "1", "Blocks.", {"type": "object"}, "destructive")]
    request = ThinkRequest("run", "step", 1, "tenant", "agent", "hi", tools=tools, constraints=Constraints(blocked_tools=frozenset({"block"})))
    (offered,) = offered_tools(request)
    spec = offered.to_openai_tool(skip_length_check=True)["function"]
    assert (spec["name"], spec["parameters"], len(spec["description"])) == ("lookup", OPEN_SCHEMA, 5_000)
    assert spec["parameters"] is not OPEN_SCHEMA


def reply(text: str = "", *calls: ToolCallBlock, finish_reason: str = "stop") -> Reply:
    return Reply(ChatMessage(role="assistant", blocks=[*ChatMessage(text).blocks, *calls]), finish_reason, {})


def call(name: str = "lookup", kwargs: Any = '{"ip": "1"}', call_id: str = "a") -> ToolCallBlock:
    return ToolCallBlock(tool_call_id=call_id, tool_name=name, tool_kwargs=kwargs)


def test_text_ends_the_run_and_calls_do_not() -> None:
    assert to_proposal(reply("done"), set()) == Proposal.finish("done")
    proposal = to_proposal(reply("why", call()), {"lookup"})
    assert (proposal.thought, proposal.output, proposal.calls) == ("why", UNSET, [ProposedCall("a", "lookup", '{"ip": "1"}')])


def test_arguments_that_were_cut_off_are_passed_on_as_they_are() -> None:
    """LlamaIndex's own reading would complete them to {"ip": "1.2"}: another address."""
    assert to_proposal(reply("", call(kwargs='{"ip": "1.2')), {"lookup"}).calls[0].args == '{"ip": "1.2'


def test_calls_with_one_id_are_numbered_by_the_worker() -> None:
    assert [one.id for one in to_proposal(reply("", call(), call()), {"lookup"}).calls] == ["", ""]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (reply(""), "empty"),
        (reply(" \n"), "empty"),
        (reply("and then", finish_reason="length"), "cut off"),
        (reply("", call("nothing")), "There is no tool 'nothing'. Call one of: lookup."),
    ],
)
def test_what_cannot_be_used_is_told_to_the_model(said: Reply, told: str) -> None:
    with pytest.raises(StepFailed, match=told) as failed:
        to_proposal(said, {"lookup"})
    assert failed.value.code == ErrorCode.MODEL_INVALID_OUTPUT
