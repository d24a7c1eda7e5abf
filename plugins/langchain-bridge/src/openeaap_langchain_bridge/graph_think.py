from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config
from langgraph.errors import GraphRecursionError
from langgraph.prebuilt import ToolNode
from langgraph.pregel import Pregel
from langgraph.types import Command, Interrupt, StateSnapshot
from openeaap.sdk import Proposal, ProposedCall, StepFailed, ThinkRequest, ThinkResult
from pydantic_core import to_jsonable_python

from openeaap_langchain_bridge.gateway_model import NEXT_THINK
from openeaap_langchain_bridge.graph_state import GraphState, load_graph_state, save_graph_state
from openeaap_langchain_bridge.graph_tools import take_over_tools
from openeaap_langchain_bridge.hosted_agent import HostedAgent
from openeaap_langchain_bridge.journal import text_of
from openeaap_langchain_bridge.message_text import message_text
from openeaap_langchain_bridge.run_checkpoints import RunCheckpoints
from openeaap_langchain_bridge.stand_in_tool import PROPOSED
from openeaap_langchain_bridge.think_scope import CONFIG_KEY, ThinkScope
from openeaap_langchain_bridge.tool_guard import ToolGuard, outside_the_platform

_LOG = logging.getLogger("openeaap.langchain")

# How often one think may go on after a stop that is none: a reviewed call, a breakpoint of the author's.
MAX_PASSES = 50

# The platform refuses a think with more. The rest is proposed by the next think.
MAX_CALLS_PER_THINK = 16


async def think_with_graph(graph: Pregel[Any, Any, Any, Any], request: ThinkRequest, scope: ThinkScope, agent: HostedAgent, platform_tools: bool) -> ThinkResult:
    """Goes on where the run's last think stopped, until tools are called, a person is asked, the model is due again, or the graph ends.

    The graph's checkpoint comes from the journal and goes back to it; nothing else is kept.
    """
    _refuse_unheld(graph)
    state = load_graph_state(request)
    checkpoints = RunCheckpoints(state.held if state else None, lambda: _count_superstep(scope))
    graph = graph.copy({"checkpointer": checkpoints, "interrupt_before_nodes": [], "interrupt_after_nodes": []})
    take_over_tools(graph, scope, platform_tools)
    scope.one_superstep_asks = True
    scope.model_nodes |= set(state.model_nodes if state else ())
    config: RunnableConfig = {"configurable": {"thread_id": request.run_id, CONFIG_KEY: scope}, "callbacks": [ToolGuard(scope)]}
    entry = _resumed(state, scope) if state else _first_input(graph, request, agent)
    for _ in range(MAX_PASSES):
        scope.proposed.clear()
        output = await _advance(graph, entry, config, scope)
        snapshot = await graph.aget_state(config)
        interrupts = [each for task in snapshot.tasks for each in task.interrupts]
        # LangGraph 0.6 does not count a task as next that was answered once and asks again.
        if not snapshot.next and not interrupts:
            return ThinkResult(Proposal.finish(_output_of(output, agent)), audit_logs=scope.calls_made)
        reviews = {each.id: approval for each in interrupts if (approval := _approval_of(each)) is not None}
        if reviews:
            _LOG.info("%s: a review of %d calls is left to the platform's policy.", agent.name, sum(len(each["decisions"]) for each in reviews.values()))
            entry = Command(resume=reviews)
            continue
        if interrupts or scope.proposed or scope.asked_at is not None:
            checkpoints.drop_finished([(task.name, task.id) for task in snapshot.tasks])
            return _paused(snapshot, interrupts, checkpoints, request, scope, agent)
        entry = None
    raise StepFailed("INTERNAL", f"The graph stopped {MAX_PASSES} times in one think without a tool call, a question or an end.")


async def _advance(graph: Pregel[Any, Any, Any, Any], entry: Any, config: RunnableConfig, scope: ThinkScope) -> Any:
    # Stopping before a node that asks the model spares it a second start; nodes that are not known yet are stopped in the call itself.
    before = sorted(scope.model_nodes & set(graph.nodes)) or None
    # Before Python 3.11 LangGraph gives async nodes no config; they find this one, so that the guard sees their tools there, too.
    token = var_child_runnable_config.set(config)
    try:
        output = await graph.ainvoke(entry, config, durability="sync", interrupt_before=before)
    except GraphRecursionError as error:
        raise StepFailed("INTERNAL", f"The graph did not come to a stop within {config.get('recursion_limit', 'its limit of')} supersteps of one think.") from error
    finally:
        var_child_runnable_config.reset(token)
    if scope.outside is not None:
        raise outside_the_platform(scope.outside)
    return output


def _paused(snapshot: StateSnapshot, interrupts: Sequence[Interrupt], checkpoints: RunCheckpoints, request: ThinkRequest, scope: ThinkScope, agent: HostedAgent) -> ThinkResult:
    if scope.proposed and not any(_is_proposed(each) for each in interrupts):
        raise StepFailed("INTERNAL", f"The graph swallowed the pause of the tool call {next(iter(scope.proposed.values())).tool}: something catches every exception around its tools. Let langgraph.errors.GraphBubbleUp pass there.")
    questions = [each for each in interrupts if not _is_proposed(each) and each.value != NEXT_THINK]
    asked = {each.id: f"interrupt_{request.step_no}_{number}" for number, each in enumerate(questions)}
    calls = [*scope.proposed.values(), *(_question_call(each, asked[each.id], scope, agent) for each in questions)]
    # Questions are answered by their call; calls left out are made again when the graph goes on.
    kept = sorted(calls, key=lambda call: call.id not in asked.values())[:MAX_CALLS_PER_THINK]
    thought = _thought_of(scope) or ("" if kept else f"(The graph goes on with {', '.join(snapshot.next)}.)")
    proposal = Proposal(thought=thought, calls=kept)
    state = GraphState(checkpoints.held, sorted(scope.model_nodes), asked)
    return ThinkResult(proposal, save_graph_state(state, request, proposal), scope.calls_made)


def _first_input(graph: Pregel[Any, Any, Any, Any], request: ThinkRequest, agent: HostedAgent) -> Any:
    """An object that names channels of the graph is its input; anything else is what the user says."""
    if agent.to_input is not None:
        return agent.to_input(request.input)
    channels = set(graph.channels)
    if isinstance(request.input, dict) and ("messages" not in channels or channels & set(request.input)):
        return request.input
    if "messages" not in channels:
        raise StepFailed("INVALID_INPUT", f"The graph of {agent.name} has no channel messages, and the input is no object. Send an object with its channels ({', '.join(sorted(name for name in channels if not _is_internal(name)))}), or give host(..., to_input=...).")
    return {"messages": [HumanMessage(text_of(request.input))]}


def _resumed(state: GraphState, scope: ThinkScope) -> Any:
    """None goes on: calls find their answers by themselves. A question of the graph's is given its answer."""
    answered = {interrupt_id: scope.answers[call_id] for interrupt_id, call_id in state.asked.items() if call_id in scope.answers}
    if not answered:
        return None
    return Command(resume={interrupt_id: _answer_value(answer.value, answer.failed) for interrupt_id, answer in answered.items()})


def _answer_value(value: Any, failed: bool) -> Any:
    if failed:
        return {"error": value}
    return value["answer"] if isinstance(value, Mapping) and "answer" in value else value


def _question_call(interrupt: Interrupt, call_id: str, scope: ThinkScope, agent: HostedAgent) -> ProposedCall:
    name = agent.interrupt_tool
    if name is None:
        raise StepFailed("INTERNAL", f"The graph of {agent.name} asks a person by interrupt(...), and the agent has no tool for that. Give host({agent.name!r}, ..., interrupt_tool=\"ask_person\").")
    if name not in scope.offered:
        raise StepFailed("INVALID_INPUT", f"The graph of {agent.name} asks a person by the tool {name}, which this run may not use. Add it to the tools of the agent on the platform.")
    value = to_jsonable_python(interrupt.value, fallback=str)
    takes_request = "request" in scope.offered[name].input_schema.get("properties", {})
    return ProposedCall(call_id, name, value if isinstance(value, dict) and not takes_request else {"request": value})


def _approval_of(interrupt: Interrupt) -> dict[str, Any] | None:
    """The answer to HumanInTheLoopMiddleware: go on, for the platform decides on the call itself. None: it is something else."""
    value = interrupt.value
    requests = value.get("action_requests") if isinstance(value, Mapping) else None
    if not isinstance(requests, Sequence) or not requests or isinstance(requests, str):
        return None
    reviews = value.get("review_configs") or ()
    if any("approve" not in review.get("allowed_decisions", ("approve",)) for review in reviews):
        return None
    return {"decisions": [{"type": "approve"} for _ in requests]}


def _output_of(output: Any, agent: HostedAgent) -> Any:
    if agent.to_output is not None:
        return agent.to_output(output)
    if isinstance(output, Mapping):
        if output.get("structured_response") is not None:
            return to_jsonable_python(output["structured_response"], fallback=str)
        messages = output.get("messages")
        if isinstance(messages, Sequence) and messages and isinstance(messages[-1], BaseMessage):
            return _final_text(messages[-1])
    return to_jsonable_python(output, fallback=str)


def _final_text(message: BaseMessage) -> str:
    text = message_text(message)
    if isinstance(message, AIMessage) and not text.strip():
        raise StepFailed("MODEL_INVALID_OUTPUT", "The reply was empty: neither a tool call nor an answer.")
    return text


def _thought_of(scope: ThinkScope) -> str:
    """What the model said with its calls, or said last."""
    with_calls = [reply for reply in scope.replies if reply.tool_calls]
    return message_text((with_calls or scope.replies)[-1]) if scope.replies else ""


def _refuse_unheld(graph: Pregel[Any, Any, Any, Any]) -> None:
    """What cannot be kept or held between two steps is said at the first, not lost at the second."""
    for name, channel in graph.channels.items():
        if type(channel).__name__ == "DeltaChannel":
            raise StepFailed("INTERNAL", f"The channel {name} of the graph is a DeltaChannel, whose values cannot be kept between two steps. Use a plain reducer such as add_messages.")
    # Before a tool node the platform holds the calls itself; any other breakpoint has nothing to show to a person.
    before = [name for name in graph.interrupt_before_nodes if not (name in graph.nodes and isinstance(graph.nodes[name].bound, ToolNode))]
    for name in [*before, *graph.interrupt_after_nodes]:
        raise StepFailed("INTERNAL", f"The graph has a breakpoint at the node {name}, which the platform cannot hold. Ask by interrupt(...) in the node, with interrupt_tool set, or take the breakpoint out.")


def _count_superstep(scope: ThinkScope) -> None:
    scope.supersteps += 1


def _is_proposed(interrupt: Interrupt) -> bool:
    return isinstance(interrupt.value, Mapping) and PROPOSED in interrupt.value


def _is_internal(channel: str) -> bool:
    return channel.startswith(("__", "branch:")) or channel == "__start__"
