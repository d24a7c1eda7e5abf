from __future__ import annotations

import json
from pathlib import Path

import pytest
from langchain_core.tools import tool
from langgraph.prebuilt import InjectedState
from typing_extensions import Annotated

from openeaap_langchain_bridge import host, hosted_tool
from openeaap_langchain_bridge.bridge_worker import bridge_worker
from tests.harness.run_driver import tool_step


def test_the_handshake_offers_agents_and_tools_with_what_the_policy_must_know(bridge) -> None:
    offer = bridge.handshake()
    specs = {spec.name: spec for spec in offer.tools}
    assert specs["look_up"].effect == 1 and specs["look_up"].idempotent
    assert specs["block"].effect == 4 and list(specs["block"].secrets) == ["FIREWALL_KEY"] and specs["block"].timeout_ms == 5_000
    schema = json.loads(specs["block"].input_schema)
    assert schema["required"] == ["ip"] and schema["properties"]["minutes"]["default"] == 60
    assert specs["block"].description == "Blocks an address."
    assert {agent.name for agent in offer.agents} >= {"executor", "react", "agent", "graph"}
    assert offer.streaming


def test_a_tool_step_runs_the_langchain_tool(bridge, effects: Path) -> None:
    done = tool_step(bridge, "look_up", {"ip": "7.7.7.7"})
    assert json.loads(done.output_payload) == {"ip": "7.7.7.7", "score": 90}
    assert "look_up 7.7.7.7" in effects.read_text()
    effects.unlink()


def test_a_tool_finds_its_secret_and_its_key_in_the_config(bridge) -> None:
    done = tool_step(bridge, "show_secret", {}, secrets={"LOOKUP_KEY": "12345678"}, key="key_7")
    assert json.loads(done.output_payload) == {"length": 8, "key": "key_7"}
    assert "12345678" not in str(done) + bridge.stderr()


def test_a_tool_exception_is_a_failure_that_the_agent_is_told(bridge) -> None:
    failed = tool_step(bridge, "refuse", {"reason": "no"})
    assert failed.error.code == 2 and failed.error.message == "Refused: no" and not failed.error.retryable


def test_wrong_arguments_are_named(bridge, effects: Path) -> None:
    failed = tool_step(bridge, "block", {"ip": "1.1.1.1", "minutes": "soon"})
    assert failed.error.code == 1 and "minutes" in failed.error.message
    assert not effects.exists()


def test_a_dry_run_calls_no_tool_that_has_an_effect(bridge, effects: Path) -> None:
    tool_step(bridge, "block", {"ip": "1.1.1.1"}, dry_run=True)
    assert not effects.exists()


def test_an_option_that_is_none_and_an_argument_that_only_a_graph_has_are_refused() -> None:
    @tool
    def reads_state(ip: str, state: Annotated[dict, InjectedState]) -> str:
        """Reads the graph."""
        return ip

    with pytest.raises(TypeError, match="'state' comes from a graph's state"):
        hosted_tool(reads_state)

    @tool
    def plain(ip: str) -> str:
        """Plain."""
        return ip

    with pytest.raises(TypeError, match="no option 'efect'"):
        hosted_tool(plain, efect="read")
    plain.metadata = {"openeaap": {"effect": "read", "secrets": ["A"]}}
    assert dict(hosted_tool(plain, secrets=["B"]).options) == {"effect": "read", "secrets": ["B"]}


def test_two_tools_or_agents_of_one_name_are_refused() -> None:
    @tool("same")
    def one() -> str:
        """One."""
        return "1"

    @tool("same")
    def two() -> str:
        """Two."""
        return "2"

    def build(ctx):
        return None

    with pytest.raises(ValueError, match="different tools with the name same"):
        bridge_worker([host("a", build, tools=[one]), host("b", build, tools=[two])])
    with pytest.raises(ValueError, match="with the name a"):
        bridge_worker([host("a", build), host("a", build)])
