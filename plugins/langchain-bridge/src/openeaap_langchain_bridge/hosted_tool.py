from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, StructuredTool, ToolException
from openeaap.sdk import ErrorCode, StepFailed, Tool, ToolContext, ToolError
from pydantic import ValidationError
from pydantic_core import to_jsonable_python

from openeaap_langchain_bridge.tool_schema import input_schema_of

# In tool.metadata, where the options may stand as well.
METADATA_KEY = "openeaap"

# Where a tool finds the step it is called for: config["configurable"]["openeaap"].
CONTEXT_KEY = "openeaap"

_OPTIONS = ("effect", "idempotent", "timeout", "secrets", "untrusted_output", "handles_dry_run", "version", "output_schema")

# What a graph injects is not there in a tool step, which may run on another machine than the graph.
_INJECTED = ("InjectedState", "InjectedStore", "ToolRuntime")


@dataclass(frozen=True)
class HostedTool:
    """A LangChain tool that the bridge executes for the platform, with what the policy must know of it."""

    tool: BaseTool
    options: Mapping[str, Any]


def hosted_tool(tool: BaseTool | Callable[..., Any], **options: Any) -> HostedTool:
    """Says of a tool: effect ("read", "write", "egress", "destructive"), idempotent, timeout in seconds, secrets, untrusted_output, handles_dry_run, version.

    The same may stand in tool.metadata["openeaap"]; what is said here counts. A tool that says nothing is taken for one that writes.
    """
    made = tool if isinstance(tool, BaseTool) else StructuredTool.from_function(coroutine=tool) if _is_coroutine(tool) else StructuredTool.from_function(tool)
    said = {**((made.metadata or {}).get(METADATA_KEY) or {}), **options}
    unknown = sorted(set(said) - set(_OPTIONS))
    if unknown:
        raise TypeError(f"Tool {made.name}: there is no option {unknown[0]!r}. There are: {', '.join(_OPTIONS)}.")
    injected = _injected_argument(made)
    if injected is not None:
        raise TypeError(f"Tool {made.name}: its argument {injected!r} comes from a graph's state, which a tool step does not have. Name the tool in in_graph if it changes nothing but that state, else take the argument from the model.")
    return HostedTool(made, said)


def tool_context(config: RunnableConfig) -> ToolContext:
    """The step that a LangChain tool is called for: secrets, idempotency key, dry run. For a tool with a parameter `config: RunnableConfig`."""
    found = (config or {}).get("configurable", {}).get(CONTEXT_KEY)
    if not isinstance(found, ToolContext):
        raise RuntimeError("This config is not of a tool step of the platform. Give the tool a parameter `config: RunnableConfig`, and call it through the platform.")
    return found


def to_sdk_tool(hosted: HostedTool) -> Tool[..., Any]:
    tool = hosted.tool.model_copy(update={"handle_tool_error": False, "handle_validation_error": False})

    async def call(ctx: ToolContext, /, **arguments: Any) -> Any:
        config: RunnableConfig = {"configurable": {CONTEXT_KEY: ctx}}
        try:
            result = await tool.ainvoke(arguments, config)
        except ToolException as error:
            raise ToolError(_told(hosted.tool, error)) from error
        except ValidationError as error:
            raise StepFailed(ErrorCode.INVALID_INPUT, _first_mistake(error)) from error
        return _to_json(tool.name, result)

    return Tool(call, name=tool.name, description=tool.description, args_schema=input_schema_of(tool), **hosted.options)


def _told(tool: BaseTool, error: ToolException) -> str:
    """What the tool's author wants the model to read."""
    handler: Any = tool.handle_tool_error
    if callable(handler):
        return str(handler(error))
    return handler if isinstance(handler, str) else str(error) or "The tool failed."


def _first_mistake(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'arguments'}: {first['msg']}."


def _to_json(name: str, result: Any) -> Any:
    # content_and_artifact tools give the pair; the artifact was never for the model.
    try:
        return to_jsonable_python(result)
    except Exception as error:
        raise StepFailed(ErrorCode.INTERNAL, f"{name} returned a {type(result).__name__}, which is no JSON. A tool that returns Command belongs into in_graph.") from error


def _injected_argument(tool: BaseTool) -> str | None:
    function = getattr(tool, "func", None) or getattr(tool, "coroutine", None) or tool._run
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except Exception:
        # Hints that cannot be resolved are no markers that LangChain could see.
        return None
    return next((name for name, hint in hints.items() if any(_is_injected(part) for part in _parts(hint))), None)


def _parts(hint: Any) -> Sequence[Any]:
    return (hint, typing.get_origin(hint), *typing.get_args(hint))


def _is_injected(part: Any) -> bool:
    kind = part if isinstance(part, type) else type(part)
    return kind.__name__ in _INJECTED


def _is_coroutine(function: Any) -> bool:
    return inspect.iscoroutinefunction(function)
