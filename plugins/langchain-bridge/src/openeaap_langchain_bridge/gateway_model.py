from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import ensure_config
from langchain_openai import ChatOpenAI
from langgraph.errors import GraphInterrupt
from langgraph.types import Interrupt
from openeaap.sdk import StepFailed, ThinkContext, ThinkRequest
from pydantic import PrivateAttr

from openeaap_langchain_bridge.think_scope import ThinkScope

# The value of the interrupt by which a second model call waits for the next think.
NEXT_THINK = "openeaap.next_think"

# LangGraph's tag for replies that nobody is to watch.
_NO_STREAM_TAG = "nostream"

_MALFORMED_CHARS = 300

# Between two bytes of a reply. The step's deadline ends a think; a constant here lets thinks share their connections.
_IDLE_TIMEOUT_SECONDS = 600.0


class GatewayModel(ChatOpenAI):
    """The platform's gateway as a chat model, good for one think.

    Everything that LangChain does to prompt and tools has happened when a call comes through
    here. What is added: tools that the run may not use are taken out of the request, corrections
    of earlier replies are put at its end, and of a graph only one superstep asks in a think.
    """

    _scope: ThinkScope = PrivateAttr()

    @classmethod
    def of_step(cls, request: ThinkRequest, ctx: ThinkContext, scope: ThinkScope) -> GatewayModel:
        options: dict[str, Any] = {
            "model": request.agent.model.name or "default",
            "temperature": request.agent.model.temperature,
            "max_tokens": scope.max_tokens or None,
            "base_url": ctx.gateway_url,
            "api_key": ctx.model_token,
            "timeout": _IDLE_TIMEOUT_SECONDS,
            # The control plane repeats a think that failed for want of a model; twice is enough.
            "max_retries": 0,
            "streaming": True,
            "stream_usage": True,
            "use_responses_api": False,
        }
        model = cls(**options)
        model._scope = scope
        return model

    @property
    def _llm_type(self) -> str:
        return "openeaap-gateway"

    def _generate(self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        messages, kwargs = self._prepare(messages, kwargs)
        result = super()._generate(messages, stop=stop, run_manager=run_manager, **kwargs)
        return result if self.streaming else self._checked(result)

    async def _agenerate(self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        messages, kwargs = self._prepare(messages, kwargs)
        result = await super()._agenerate(messages, stop=stop, run_manager=run_manager, **kwargs)
        return result if self.streaming else self._checked(result)

    def _stream(self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        messages, kwargs = self._prepare(messages, kwargs)
        reply = _Reply(self._scope, _is_watched(run_manager))
        for chunk in super()._stream(messages, stop=stop, run_manager=run_manager, **kwargs):
            yield reply.take(chunk)
        reply.end()

    async def _astream(self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        messages, kwargs = self._prepare(messages, kwargs)
        reply = _Reply(self._scope, _is_watched(run_manager))
        async for chunk in super()._astream(messages, stop=stop, run_manager=run_manager, **kwargs):
            yield reply.take(chunk)
        reply.end()

    def _prepare(self, messages: list[BaseMessage], kwargs: dict[str, Any]) -> tuple[list[BaseMessage], dict[str, Any]]:
        """Idempotent: in LangChain 0.3 a call that streams comes through twice."""
        _enter_model(self._scope)
        corrections = [each for each in self._scope.corrections if not any(each is message for message in messages)]
        return [*messages, *corrections], _with_allowed(kwargs, self._scope)

    def _checked(self, result: ChatResult) -> ChatResult:
        for generation in result.generations:
            message = generation.message
            if isinstance(message, AIMessage):
                message.additional_kwargs.pop("tool_calls", None)
                for call in message.tool_calls:
                    call["id"] = self._scope.unique_id(call.get("id") or "")
                _take_reply(self._scope, message, message.response_metadata.get("finish_reason"))
                for invalid in message.invalid_tool_calls:
                    _refuse_malformed(invalid.get("name"), invalid.get("args") or "")
        return result


class _Reply:
    """A reply as it streams in."""

    def __init__(self, scope: ThinkScope, watched: bool) -> None:
        self._scope = scope
        self._watched = watched
        self._whole: AIMessageChunk | None = None
        self._ids: dict[Any, str] = {}
        self._finish_reason: str | None = None

    def take(self, chunk: ChatGenerationChunk) -> ChatGenerationChunk:
        message = chunk.message
        if not isinstance(message, AIMessageChunk):
            return chunk
        if any(message.tool_call_chunks):
            chunk = ChatGenerationChunk(message=self._renamed(message), generation_info=chunk.generation_info)
            message = chunk.message
        if self._watched and isinstance(message.content, str) and message.content:
            self._scope.emit(message.content)
        self._whole = message if self._whole is None else self._whole + message  # type: ignore[assignment]
        self._finish_reason = (chunk.generation_info or {}).get("finish_reason") or self._finish_reason
        return chunk

    def end(self) -> None:
        """Raises StepFailed for a reply that nothing can be made of."""
        if self._whole is None:
            return
        _take_reply(self._scope, self._whole, self._finish_reason)
        for piece in self._whole.tool_call_chunks:
            # LangChain completes arguments that broke off; what runs must be what the model said.
            _refuse_malformed(piece.get("name"), piece.get("args") or "{}")

    def _renamed(self, message: AIMessageChunk) -> AIMessageChunk:
        """The id stands in the first chunk of a call; later ones have only its index."""
        pieces = []
        for piece in message.tool_call_chunks:
            key = piece.get("index")
            if key not in self._ids or (piece.get("name") and key is None):
                self._ids[key] = self._scope.unique_id(piece.get("id") or "")
                pieces.append({**piece, "id": self._ids[key]})
            else:
                pieces.append({**piece, "id": None})
        others = {key: value for key, value in message.additional_kwargs.items() if key != "tool_calls"}
        return message.model_copy(update={"tool_call_chunks": pieces, "tool_calls": [], "invalid_tool_calls": [], "additional_kwargs": others})


def _take_reply(scope: ThinkScope, message: AIMessage, finish_reason: str | None) -> None:
    with scope.lock:
        scope.replies.append(message)
    if finish_reason == "length" and not message.tool_calls:
        raise StepFailed("MODEL_INVALID_OUTPUT", "The reply was cut off at the token limit. Be shorter.")


def _refuse_malformed(tool: str | None, text: str) -> None:
    try:
        if isinstance(json.loads(text), dict):
            return
    except ValueError:
        # Shown to the model below.
        pass
    raise StepFailed("MODEL_INVALID_OUTPUT", f"The arguments of the call to {tool or 'a tool'} are no JSON object: {text[:_MALFORMED_CHARS]}")


def _enter_model(scope: ThinkScope) -> None:
    """Lets the nodes of one superstep ask the model in a think, each as often as it likes; what comes after waits for the next think."""
    # Before Python 3.11 async nodes do not know where they are; then only the superstep counts.
    where = str(ensure_config().get("configurable", {}).get("checkpoint_ns", ""))
    with scope.lock:
        if scope.asked_at is None:
            scope.asked_at = scope.supersteps
        elif scope.one_superstep_asks and where not in scope.asking_tasks and scope.supersteps > scope.asked_at:
            raise GraphInterrupt((Interrupt(value=NEXT_THINK, id=f"next_think_{scope.step_no}"),))
        if where:
            scope.asking_tasks.add(where)
            scope.model_nodes.add(where.split("|")[0].split(":")[0])


def _with_allowed(kwargs: dict[str, Any], scope: ThinkScope) -> dict[str, Any]:
    """The request with the tools that this run may use, and within its tokens."""
    allowed = dict(kwargs)
    if kwargs.get("tools"):
        tools = [tool for tool in kwargs["tools"] if not scope.is_hidden(_name_of(tool))]
        names = {_name_of(tool) for tool in tools}
        # Extra tools go where the agent's own are offered, not into a call for structured output.
        own = any(_name_of(tool) in scope.own_tools for tool in kwargs["tools"])
        tools += [extra for extra in scope.extra_tools if own and _name_of(extra) not in names]
        allowed["tools"] = tools
    elif scope.extra_tools and "tools" not in kwargs and "response_format" not in kwargs and not scope.own_tools:
        allowed["tools"] = list(scope.extra_tools)
    if "tools" in allowed and not allowed["tools"]:
        for key in ("tools", "tool_choice", "parallel_tool_calls"):
            allowed.pop(key, None)
    if scope.max_tokens > 0:
        left = max(1, scope.max_tokens - scope.completion_tokens())
        wanted = [allowed.pop(key) for key in ("max_tokens", "max_completion_tokens") if isinstance(allowed.get(key), int)]
        allowed["max_tokens"] = min([left, *wanted])
    return allowed


def _name_of(tool: Any) -> str:
    function = tool.get("function") if isinstance(tool, dict) else None
    return str(function.get("name", "")) if isinstance(function, dict) else ""


def _is_watched(run_manager: Any) -> bool:
    return _NO_STREAM_TAG not in (getattr(run_manager, "tags", None) or ())
