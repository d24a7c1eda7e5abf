"""The part of the control plane: it holds the journal, and has single steps executed over gRPC."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from openeaap._proto import runtime_pb2 as pb

from tests.harness.bridge_process import BridgeProcess
from tests.harness.model_double import TOKEN, ModelDouble


@dataclass
class Run:
    bridge: BridgeProcess
    model: ModelDouble
    agent: str
    input: Any
    tools: list[pb.ToolSpec]
    blocked: list[str] = field(default_factory=list)
    dry_run: bool = False
    max_tokens: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    system_prompt: str = ""
    journal: list[pb.JournalStep] = field(default_factory=list)
    deltas: list[str] = field(default_factory=list)
    token: str = TOKEN
    timeout: float = 30

    def request(self) -> pb.ExecuteStepRequest:
        request = pb.ExecuteStepRequest(
            run_id="run_1",
            step_id=f"step_{len(self.journal) + 1}",
            agent_id="agent_1",
            input_payload=json.dumps(self.input),
            ephemeral_credentials={"OPENEAAP_MODEL_TOKEN": self.token, "OPENEAAP_GATEWAY_URL": self.model.url},
            constraints=pb.GovernanceConstraints(blocked_tools=self.blocked, dry_run=self.dry_run, max_tokens=self.max_tokens),
            kind=pb.STEP_KIND_THINK,
            tenant_id="tenant_1",
            step_no=len(self.journal) + 1,
            agent=pb.AgentConfiguration(name="a", entrypoint=self.agent, system_prompt=self.system_prompt, settings=json.dumps(self.settings), model=pb.AgentConfiguration.Model(name="double", temperature=0.2)),
            tools=[tool for tool in self.tools if tool.name not in self.blocked],
            journal=self.journal,
        )
        return request

    def think(self) -> pb.ExecuteStepResponse:
        """One think, written into the journal."""
        response = self.bridge.stub.ExecuteStep(self.request(), timeout=self.timeout)
        self._write(response)
        return response

    def think_stream(self) -> pb.ExecuteStepResponse:
        events = list(self.bridge.stub.ExecuteStepStream(self.request(), timeout=self.timeout))
        self.deltas += [event.delta for event in events[:-1]]
        self._write(events[-1].response)
        return events[-1].response

    def answer(self, *observations: Any, args: Any = None) -> None:
        """The acts of the newest think: an output each, or an exception for an error."""
        think_no = max(step.no for step in self.journal if step.HasField("think"))
        proposed = next(step.think.proposal.calls for step in self.journal if step.no == think_no)
        assert len(proposed) == len(observations), f"{len(proposed)} calls, {len(observations)} answers"
        for call, observation in zip(proposed, observations):
            failed = isinstance(observation, Exception)
            seen = {"error": {"code": str(observation.args[0]), "message": str(observation.args[1])}} if failed else {"output": observation}
            act = pb.JournalStep.Act(call_id=call.id, tool=call.tool, args=call.args if args is None else json.dumps(args), status=str(observation.args[0]) if failed else "done", observation=json.dumps(seen), think_no=think_no)
            self.journal.append(pb.JournalStep(no=len(self.journal) + 1, step_id=f"step_{len(self.journal) + 1}", act=act))

    def states(self) -> list[str]:
        return [step.think.strategy_state for step in self.journal if step.HasField("think")]

    def _write(self, response: pb.ExecuteStepResponse) -> None:
        think = pb.JournalStep.Think(proposal=None if response.HasField("error") else response.proposal, error=response.error if response.HasField("error") else None, strategy_state=response.strategy_state)
        self.journal.append(pb.JournalStep(no=len(self.journal) + 1, step_id=f"step_{len(self.journal) + 1}", think=think))


def tool_step(bridge: BridgeProcess, tool: str, args: Any, *, secrets: dict[str, str] | None = None, dry_run: bool = False, key: str = "key_1") -> pb.ExecuteStepResponse:
    request = pb.ExecuteStepRequest(run_id="run_1", step_id="step_9", agent_id="agent_1", kind=pb.STEP_KIND_TOOL, tool=tool, input_payload=json.dumps(args), ephemeral_credentials=secrets or {}, idempotency_key=key, step_no=9, constraints=pb.GovernanceConstraints(dry_run=dry_run))
    return bridge.stub.ExecuteStep(request, timeout=20)


def proposed(response: pb.ExecuteStepResponse) -> list[tuple[str, Any]]:
    """The calls of a think as (tool, arguments)."""
    assert not response.HasField("error"), response.error
    return [(call.tool, json.loads(call.args)) for call in response.proposal.calls]


def output(response: pb.ExecuteStepResponse) -> Any:
    assert not response.HasField("error"), response.error
    assert response.proposal.HasField("output"), response.proposal
    return json.loads(response.proposal.output)
