from __future__ import annotations

from typing import Any

from langchain_core.agents import AgentFinish
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import Runnable
from openeaap.sdk import Proposal, ProposedCall, StepFailed, ThinkRequest, ThinkResult
from pydantic_core import to_jsonable_python

from openeaap_langchain_bridge.hosted_agent import HostedAgent
from openeaap_langchain_bridge.journal import text_of, transcript_of
from openeaap_langchain_bridge.message_text import message_text
from openeaap_langchain_bridge.think_scope import ThinkScope
from openeaap_langchain_bridge.tool_guard import ToolGuard


async def think_with_runnable(runnable: Runnable[Any, Any], request: ThinkRequest, scope: ThinkScope, agent: HostedAgent) -> ThinkResult:
    """A chain such as prompt | model.bind_tools(...): asked once a think, with the run so far as `messages`.

    A message with tool calls is proposed; anything else is the output.
    """
    if agent.to_input is not None:
        given: Any = agent.to_input(request.input)
    else:
        given = dict(request.input) if isinstance(request.input, dict) else {}
        given.setdefault("input", text_of(request.input))
    if isinstance(given, dict):
        given = {**given, "messages": transcript_of(request.input, request.journal)}
    result = await runnable.ainvoke(given, {"callbacks": [ToolGuard(scope)]})
    if isinstance(result, AIMessage) and result.tool_calls:
        calls = [ProposedCall(call["id"] or scope.unique_id(""), call["name"], call["args"]) for call in result.tool_calls if call["name"] in scope.offered]
        refused = sorted({call["name"] for call in result.tool_calls} - set(scope.offered))
        if refused:
            raise StepFailed("MODEL_INVALID_OUTPUT", f"The tool {refused[0]} is not available in this run. There are: {', '.join(sorted(scope.offered)) or 'none'}.")
        return ThinkResult(Proposal(thought=message_text(result), calls=calls))
    return ThinkResult(Proposal.finish(_output(result, agent)))


def _output(result: Any, agent: HostedAgent) -> Any:
    if agent.to_output is not None:
        return agent.to_output(result)
    if isinstance(result, BaseMessage):
        result = message_text(result)
    elif isinstance(result, AgentFinish):
        result = result.return_values.get("output", result.return_values)
    if isinstance(result, str) and not result.strip():
        raise StepFailed("MODEL_INVALID_OUTPUT", "The reply was empty: neither a tool call nor an answer.")
    return to_jsonable_python(result, fallback=str)
