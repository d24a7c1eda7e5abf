"""The one place that knows which LangChain is installed: 0.3, or 1.x with or without langchain-classic."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

# Where AgentExecutor lives: its own package since 1.0, langchain itself before.
_CLASSIC_HOMES = ("langchain_classic.agents", "langchain.agents")


def agent_executor_class() -> type[Any] | None:
    """AgentExecutor of the installed LangChain; None: it has none."""
    for home in _CLASSIC_HOMES:
        found = getattr(_module(home), "AgentExecutor", None)
        if isinstance(found, type):
            return found
    return None


def tool_action_class() -> type[Any]:
    """ToolAgentAction, what a tool-calling agent answers with and wants to see again."""
    for home in _CLASSIC_HOMES:
        found = getattr(_module(f"{home}.output_parsers.tools"), "ToolAgentAction", None)
        if isinstance(found, type):
            return found
    raise RuntimeError("No ToolAgentAction: install langchain-classic (LangChain 1.x) or langchain 0.3.")


def installed_versions() -> dict[str, str]:
    """Of the packages that decide how agents behave, for logs."""
    names = ("langchain", "langchain-classic", "langchain-core", "langchain-openai", "langgraph")
    return {name: found for name in names if (found := _version(name)) is not None}


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        return None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
