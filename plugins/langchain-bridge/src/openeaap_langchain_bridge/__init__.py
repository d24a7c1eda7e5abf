"""Hosts LangChain agents on OpenEAAP: `from openeaap_langchain_bridge import host`."""

from openeaap_langchain_bridge.bridge_context import BridgeContext
from openeaap_langchain_bridge.bridge_worker import bridge_worker
from openeaap_langchain_bridge.hosted_agent import HostedAgent, host
from openeaap_langchain_bridge.hosted_tool import HostedTool, hosted_tool, tool_context

__all__ = ["BridgeContext", "HostedAgent", "HostedTool", "bridge_worker", "host", "hosted_tool", "tool_context"]
