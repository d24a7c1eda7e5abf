from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.agents import AgentAction, AgentActionMessageLog, AgentFinish
from langchain_core.exceptions import OutputParserException
from langchain_core.messages import BaseMessage
from langchain_core.tools import BaseTool
from openeaap.sdk import Proposal, ProposedCall, StepFailed, ThinkRequest, ThinkResult
from pydantic_core import to_jsonable_python

from openeaap_langchain_bridge.hosted_agent import HostedAgent
from openeaap_langchain_bridge.installed_langchain import tool_action_class
from openeaap_langchain_bridge.journal import text_of, thinks_of
from openeaap_langchain_bridge.json_object import first_json_object
from openeaap_langchain_bridge.message_text import message_text
from openeaap_langchain_bridge.state_codec import StateCodec
from openeaap_langchain_bridge.think_scope import ThinkScope
from openeaap_langchain_bridge.tool_guard import ToolGuard
from openeaap_langchain_bridge.tool_schema import input_schema_of

KIND = "executor/1"

# The name that AgentExecutor gives a step whose reply could not be read.
_PARSING_STEP = "_Exception"

Step = tuple[AgentAction, Any]


@dataclass(frozen=True)
class Planned:
    """An action of the agent's with the id of its call."""

    call_id: str
    action: AgentAction


async def think_with_executor(executor: Any, request: ThinkRequest, scope: ThinkScope, agent: HostedAgent) -> ThinkResult:
    """One `agent.plan` of an AgentExecutor: its actions are proposed, its finish is the output.

    The executor's own loop is not run, since the platform is the loop; what the executor says
    about it (limits, parsing errors, direct returns, trimming, memory) is kept.
    """
    scope.own_tools |= {tool.name for tool in executor.tools}
    steps, iterations = _steps_so_far(request, scope)
    planner = executor.agent
    inputs = executor.prep_inputs(_inputs(executor, request, agent))
    finish = _early_finish(executor, planner, steps, iterations, inputs)
    if finish is None:
        planned = await _plan(executor, planner, steps, inputs, scope)
        if isinstance(planned, ThinkResult):
            return planned
        if not isinstance(planned, AgentFinish):
            return _proposed(planned if isinstance(planned, Sequence) else [planned], executor, request, scope)
        finish = planned
    return ThinkResult(Proposal.finish(_output(executor, finish, steps, agent)))


async def _plan(executor: Any, planner: Any, steps: list[Step], inputs: Mapping[str, Any], scope: ThinkScope) -> Any:
    callbacks = [*(executor.callbacks if isinstance(executor.callbacks, list) else ()), ToolGuard(scope)]
    trimmed = executor._prepare_intermediate_steps(steps)
    try:
        return await planner.aplan(trimmed, callbacks=callbacks, **inputs)
    except OutputParserException as error:
        if not executor.handle_parsing_errors:
            raise
        observation, text = _parsing_step(executor.handle_parsing_errors, error)
        thought = observation.strip() or "The reply could not be read."
        return ThinkResult(Proposal(thought=thought), {"kind": KIND, "unread": [observation, text]})


def _parsing_step(handler: Any, error: OutputParserException) -> tuple[str, str]:
    """The step that AgentExecutor itself puts before the next plan: (observation, what the model had written)."""
    if isinstance(handler, str):
        return handler, str(error)
    if callable(handler):
        return str(handler(error)), str(error)
    if error.send_to_llm:
        return str(error.observation), str(error.llm_output)
    return "Invalid or incomplete response", str(error)


def _steps_so_far(request: ThinkRequest, scope: ThinkScope) -> tuple[list[Step], int]:
    thinks = thinks_of(request.journal)
    codec = StateCodec(request.input, request.journal)
    steps: list[Step] = []
    for think in thinks:
        state = think.state if isinstance(think.state, dict) and think.state.get("kind") == KIND else {}
        if "unread" in state:
            observation, text = state["unread"]
            steps.append((AgentAction(_PARSING_STEP, observation, text), observation))
        for entry in state.get("actions", ()):
            action = _to_action(codec.decode(entry), codec.decode(state.get("messages", [])))
            answer = scope.answers.get(entry["id"])
            steps.append((action, answer.text if answer is not None else entry.get("refused", "")))
    return steps, len(thinks)


def _to_action(entry: Mapping[str, Any], messages: Sequence[BaseMessage]) -> AgentAction:
    if entry.get("tool_call_id"):
        action: AgentAction = tool_action_class()(tool=entry["tool"], tool_input=entry["input"], log=entry["log"], message_log=list(messages), tool_call_id=entry["tool_call_id"])
        return action
    if messages:
        return AgentActionMessageLog(tool=entry["tool"], tool_input=entry["input"], log=entry["log"], message_log=list(messages))
    return AgentAction(tool=entry["tool"], tool_input=entry["input"], log=entry["log"])


def _early_finish(executor: Any, planner: Any, steps: list[Step], iterations: int, inputs: Mapping[str, Any]) -> AgentFinish | None:
    if steps and (direct := _direct_return(executor, planner, steps[-1])) is not None:
        return direct
    if executor.max_iterations is not None and iterations >= executor.max_iterations:
        stopped: AgentFinish = planner.return_stopped_response(executor.early_stopping_method, steps, **inputs)
        return stopped
    return None


def _direct_return(executor: Any, planner: Any, step: Step) -> AgentFinish | None:
    action, observation = step
    if not any(tool.name == action.tool and tool.return_direct for tool in executor.tools):
        return None
    return AgentFinish({(planner.return_values or ["output"])[0]: observation}, "")


def _inputs(executor: Any, request: ThinkRequest, agent: HostedAgent) -> dict[str, Any]:
    """An object that has the agent's input keys is taken as it is; anything else is the one text that it asks for."""
    if agent.to_input is not None:
        return dict(agent.to_input(request.input))
    remembered = set(executor.memory.memory_variables) if executor.memory is not None else set()
    keys = [key for key in executor.agent.input_keys if key not in remembered] or ["input"]
    if isinstance(request.input, dict) and all(key in request.input for key in keys):
        return dict(request.input)
    return {keys[0]: text_of(request.input)}


def _proposed(actions: Sequence[AgentAction], executor: Any, request: ThinkRequest, scope: ThinkScope) -> ThinkResult:
    planned = [Planned(getattr(action, "tool_call_id", None) or scope.unique_id(""), action) for action in actions]
    if len({each.call_id for each in planned}) < len(planned):
        raise StepFailed("MODEL_INVALID_OUTPUT", "Two tool calls of the reply have the same id.")
    tools = {tool.name: tool for tool in executor.tools}
    calls = [ProposedCall(each.call_id, each.action.tool, _to_args(each.action.tool_input, tools.get(each.action.tool))) for each in planned if each.action.tool in scope.offered]
    refused = {each.call_id: _refusal(each.action.tool, scope) for each in planned if each.action.tool not in scope.offered}
    thought = _thought(actions[0]) or ("" if calls else next(iter(refused.values())))
    proposal = Proposal(thought=thought, calls=calls)
    codec = StateCodec(request.input, request.journal, request.step_no, proposal)
    messages = list(getattr(actions[0], "message_log", ()))
    state = {
        "kind": KIND,
        "messages": codec.encode(messages),
        "actions": [_from_action(each, refused, codec, bool(messages)) for each in planned],
    }
    return ThinkResult(proposal, {key: value for key, value in state.items() if value != []})


def _from_action(planned: Planned, refused: Mapping[str, str], codec: StateCodec, has_messages: bool) -> dict[str, Any]:
    action = planned.action
    entry: dict[str, Any] = {
        "id": planned.call_id,
        "tool": action.tool,
        "input": codec.encode(action.tool_input),
        # A log beside a message only repeats it.
        "log": "" if has_messages else codec.encode(action.log),
        "tool_call_id": getattr(action, "tool_call_id", None),
        "refused": refused.get(planned.call_id),
    }
    return {key: value for key, value in entry.items() if value is not None}


def _refusal(tool: str, scope: ThinkScope) -> str:
    """In the words of AgentExecutor's InvalidTool."""
    names = ", ".join(sorted(scope.offered)) or "none"
    return f"{tool} is not a valid tool, try one of [{names}]."


def _thought(action: AgentAction) -> str:
    messages = getattr(action, "message_log", ())
    if messages:
        return message_text(messages[-1]).strip()
    said = action.log.split("\nAction:")[0].strip()
    return said.removeprefix("Thought:").strip()


def _to_args(given: Any, tool: BaseTool | None) -> Any:
    """What a text agent writes for a tool, as the object that the platform wants."""
    if isinstance(given, dict):
        return given
    properties = list(input_schema_of(tool).get("properties", {})) if tool is not None else []
    text = str(given).strip()
    parsed = first_json_object(text)
    if parsed is not None and (len(properties) != 1 or set(parsed) <= set(properties)):
        return parsed
    if not text and not properties:
        return {}
    return {properties[0] if len(properties) == 1 else "input": text}


def _output(executor: Any, finish: AgentFinish, steps: Sequence[Step], agent: HostedAgent) -> Any:
    values = dict(finish.return_values)
    if executor.return_intermediate_steps:
        values["intermediate_steps"] = [[{"tool": action.tool, "tool_input": action.tool_input, "log": action.log}, observation] for action, observation in steps]
    if agent.to_output is not None:
        return agent.to_output(values)
    output = values["output"] if set(values) == {"output"} else values
    if isinstance(output, str) and not output.strip():
        raise StepFailed("MODEL_INVALID_OUTPUT", "The reply was empty: neither a tool call nor an answer.")
    return to_jsonable_python(output, fallback=str)
