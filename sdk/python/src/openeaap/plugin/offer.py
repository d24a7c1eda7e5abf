from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from openeaap._proto import runtime_pb2 as pb
from openeaap._version import VERSION
from openeaap.plugin.agent import Agent
from openeaap.plugin.step_failed import ErrorCode, StepFailed
from openeaap.plugin.tool import Tool
from openeaap.plugin.wire import to_agent_spec, to_tool_spec

PROTOCOL_VERSIONS = (1,)
MAX_MESSAGE_BYTES = 32 * 1024 * 1024
"""A journal grows with its run, so a worker that thinks should receive this much."""


@dataclass(frozen=True)
class Offer:
    """What a worker has, checked as a whole."""

    name: str
    version: str
    tools: Mapping[str, Tool[..., Any]]
    agents: Mapping[str, Agent]
    max_concurrent_steps: int

    def tool_named(self, name: str) -> Tool[..., Any]:
        if name in self.tools:
            return self.tools[name]
        raise StepFailed(ErrorCode.INVALID_INPUT, f"tool: there is no tool {name!r} here. {_has('tools', self.tools)}")

    def agent_named(self, entrypoint: str) -> Agent:
        if entrypoint in self.agents:
            return self.agents[entrypoint]
        if entrypoint == "" and len(self.agents) == 1:
            return next(iter(self.agents.values()))
        wanted = f"there is no agent {entrypoint!r} here" if entrypoint else "it must say which agent"
        raise StepFailed(ErrorCode.INVALID_INPUT, f"agent.entrypoint: {wanted}. {_has('agents', self.agents)}")


def make_offer(name: str, version: str, tools: Iterable[Any], agents: Iterable[Any], max_concurrent_steps: int) -> Offer:
    """Raises TypeError or ValueError for what the platform would refuse the whole plugin for."""
    return Offer(
        name=name,
        version=version,
        tools=_by_name("tools", Tool, tools),
        agents=_by_name("agents", Agent, agents),
        max_concurrent_steps=max_concurrent_steps,
    )


def to_handshake(offer: Offer, request: pb.HandshakeRequest) -> pb.HandshakeResponse:
    """The highest version that both know; 0 and no offer if there is none."""
    spoken = max(set(PROTOCOL_VERSIONS) & set(request.protocol_versions), default=0)
    response = pb.HandshakeResponse(
        protocol_version=spoken,
        protocol_versions=PROTOCOL_VERSIONS,
        name=offer.name,
        version=offer.version,
        sdk=pb.Sdk(language="python", version=VERSION),
    )
    if spoken == 0:
        return response
    response.tools.extend(to_tool_spec(tool) for tool in offer.tools.values())
    response.agents.extend(to_agent_spec(agent) for agent in offer.agents.values())
    response.streaming = True
    response.max_message_bytes = MAX_MESSAGE_BYTES
    response.max_concurrent_steps = offer.max_concurrent_steps
    return response


def _by_name(field: str, kind: type[Any], things: Iterable[Any]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for thing in things:
        if not isinstance(thing, kind):
            raise TypeError(f"Worker {field}: {thing!r} is no {kind.__name__}. Make it one with @{kind.__name__.lower()}.")
        if thing.name in named and named[thing.name] is not thing:
            raise ValueError(f"Worker {field}: the name {thing.name!r} is there twice. Names are unique.")
        named[thing.name] = thing
    return named


def _has(what: str, named: Mapping[str, Any]) -> str:
    return f"This worker has {', '.join(sorted(named))}." if named else f"This worker has no {what}."
