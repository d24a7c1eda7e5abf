from __future__ import annotations

import asyncio
import inspect
from dataclasses import replace
from typing import Any

from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel
from openeaap.sdk import StepFailed, ThinkContext, ThinkRequest, ThinkResult

from openeaap_langchain_bridge.bridge_context import BridgeContext
from openeaap_langchain_bridge.executor_think import think_with_executor
from openeaap_langchain_bridge.gateway_model import GatewayModel
from openeaap_langchain_bridge.graph_think import think_with_graph
from openeaap_langchain_bridge.hosted_agent import HostedAgent
from openeaap_langchain_bridge.installed_langchain import agent_executor_class
from openeaap_langchain_bridge.model_errors import to_step_failed
from openeaap_langchain_bridge.runnable_think import think_with_runnable
from openeaap_langchain_bridge.stand_in_tool import stand_in_of
from openeaap_langchain_bridge.think_scope import ThinkScope, open_scope

_PLATFORM_TOOLS = "platform_tools"


async def think(agent: HostedAgent, request: ThinkRequest, ctx: ThinkContext) -> ThinkResult:
    """One think of a hosted agent: build it, let it ask the model once, and read what it wants."""
    if not ctx.gateway_url or not ctx.model_token:
        raise StepFailed("INVALID_INPUT", "A think needs OPENEAAP_GATEWAY_URL and OPENEAAP_MODEL_TOKEN in ephemeral_credentials.")
    scope = open_scope(request, ctx.emit, agent.in_graph)
    scope.own_tools |= {hosted.tool.name for hosted in agent.tools}
    try:
        result = await _think_with(await _build(agent, request, ctx, scope), agent, request, scope)
    except Exception as error:
        known = to_step_failed(error, ctx.model_token)
        if known is None or known is error:
            raise
        raise known from error
    return replace(result, metadata=_metadata(scope, request))


async def _build(agent: HostedAgent, request: ThinkRequest, ctx: ThinkContext, scope: ThinkScope) -> Any:
    context = BridgeContext(
        model=GatewayModel.of_step(request, ctx, scope),
        tools=[stand_in_of(tool) for tool in scope.offered.values()],
        system_prompt=request.agent.system_prompt,
        settings=request.agent.settings,
        input=request.input,
        dry_run=request.constraints.dry_run,
        blocked_tools=request.constraints.blocked_tools,
        max_tokens=scope.max_tokens,
        agent=request.agent,
        principal=request.principal,
        run_id=request.run_id,
        tenant_id=request.tenant_id,
        step_no=request.step_no,
        offered=frozenset(scope.offered),
    )
    # In a thread, since building may read files; a health check must not wait for it.
    built = await asyncio.to_thread(agent.build, context)
    return await built if inspect.isawaitable(built) else built


async def _think_with(built: Any, agent: HostedAgent, request: ThinkRequest, scope: ThinkScope) -> ThinkResult:
    platform_tools = bool(request.agent.settings.get(_PLATFORM_TOOLS, agent.platform_tools))
    if platform_tools:
        scope.extra_tools = [convert_to_openai_tool(stand_in_of(tool)) for tool in scope.offered.values()]
    executor_class = agent_executor_class()
    if isinstance(built, StateGraph):
        built = built.compile()
    if isinstance(built, Pregel):
        return await think_with_graph(built, request, scope, agent, platform_tools)
    if executor_class is not None and isinstance(built, executor_class):
        return await think_with_executor(built, request, scope, agent)
    if isinstance(built, Runnable):
        return await think_with_runnable(built, request, scope, agent)
    raise StepFailed("INTERNAL", f"build of the agent {agent.name} returned a {type(built).__name__}. Return an AgentExecutor, a graph or a Runnable.")


def _metadata(scope: ThinkScope, request: ThinkRequest) -> dict[str, Any]:
    used = [reply.usage_metadata for reply in scope.replies if reply.usage_metadata]
    return {
        "model": request.agent.model.name,
        "model_calls": len(scope.replies),
        "prompt_tokens": sum(each["input_tokens"] for each in used),
        "completion_tokens": scope.completion_tokens(),
    }
