from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

from langchain_core.runnables import RunnableConfig, ensure_config
from langchain_core.tools import BaseTool, ToolException
from langgraph.errors import GraphInterrupt
from langgraph.types import Interrupt
from openeaap.sdk import ProposedCall, StepFailed, ToolInfo
from pydantic import Field

from openeaap_langchain_bridge.journal import Answer
from openeaap_langchain_bridge.think_scope import ThinkScope, scope_of
from openeaap_langchain_bridge.tool_schema import input_schema_of

# The value of the interrupt by which a graph waits for the answer to a proposed call.
PROPOSED = "openeaap.proposed"

# Turns of the event loop in which calls that a node makes side by side come together in one proposal.
_GATHER_TURNS = 8


class StandInTool(BaseTool):
    """Takes the place of a tool in a graph: a call is proposed, and answered when the journal has its answer.

    It holds nothing of a think, which comes with the run's config; so it may sit in objects that
    several runs share.
    """

    name: str = ""
    description: str = ""
    parameters: list[str] = Field(default_factory=list, exclude=True)
    """The arguments that the model gives; others are injected by the graph and go nowhere."""

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        call, is_message = self._read(input, config)
        scope = self._scope(config)
        if (answer := self._answer(call, scope)) is None:
            self._pause(call, scope)
        return self._give(answer, is_message)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        call, is_message = self._read(input, config)
        scope = self._scope(config)
        if (answer := self._answer(call, scope)) is None:
            scope.propose(call)
            for _ in range(_GATHER_TURNS):
                await asyncio.sleep(0)
            self._pause(call, scope)
        return self._give(answer, is_message)

    def _run(self, *args: Any, **kwargs: Any) -> Any:
        raise StepFailed("INTERNAL", f"The tool {self.name} runs on the platform and is called by invoke or ainvoke, inside a graph.")

    def _scope(self, config: RunnableConfig | None) -> ThinkScope:
        scope = scope_of(config) or scope_of(ensure_config())
        if scope is None:
            raise StepFailed("INTERNAL", f"The tool {self.name} was called without the config of its graph's run. Pass the node's `config` on: tool.ainvoke(call, config).")
        return scope

    def _read(self, input: Any, config: RunnableConfig | None) -> tuple[ProposedCall, bool]:
        if isinstance(input, dict) and input.get("type") == "tool_call":
            args = {key: value for key, value in input["args"].items() if key in self.parameters or not self.parameters}
            return ProposedCall(input["id"], self.name, args), True
        args = input if isinstance(input, dict) else {self.parameters[0] if self.parameters else "input": input}
        # A node that is run again must ask for the same call again.
        where = ensure_config(config).get("configurable", {}).get("checkpoint_ns", "")
        digest = hashlib.sha256(json.dumps([where, self.name, args], sort_keys=True, default=str).encode()).hexdigest()
        return ProposedCall(f"call_{digest[:24]}", self.name, args), False

    def _answer(self, call: ProposedCall, scope: ThinkScope) -> Answer | None:
        if call.id in scope.answers:
            return scope.answers[call.id]
        if self.name not in scope.offered:
            return Answer(call.id, self.name, True, {"code": "denied", "message": f"The tool {self.name} is not available in this run."})
        return None

    def _pause(self, call: ProposedCall, scope: ThinkScope) -> None:
        scope.propose(call)
        raise GraphInterrupt((Interrupt(value={PROPOSED: call.id}, id=call.id),))

    def _give(self, answer: Answer | None, is_message: bool) -> Any:
        assert answer is not None
        if is_message:
            return answer.to_message()
        if answer.failed:
            raise ToolException(answer.text)
        return answer.value


def stand_in_for(tool: BaseTool) -> StandInTool:
    """For a tool of the user's graph."""
    schema = input_schema_of(tool)
    return StandInTool(name=tool.name, description=tool.description, args_schema=schema, parameters=list(schema.get("properties", {})), return_direct=tool.return_direct)


def stand_in_of(tool: ToolInfo) -> StandInTool:
    """For a tool of the platform."""
    return StandInTool(name=tool.name, description=tool.description or tool.name, args_schema=tool.input_schema, parameters=list(tool.input_schema.get("properties", {})))
