"""The journal in the words of LangChain. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from openeaap.sdk import ActEntry, ThinkEntry

Journal = Sequence[ThinkEntry | ActEntry]


@dataclass(frozen=True)
class Answer:
    """What came of one proposed call."""

    call_id: str
    tool: str
    failed: bool
    value: Any
    """The output, or {"code", "message"} of the error."""

    @property
    def text(self) -> str:
        """What the model reads."""
        return text_of({"error": self.value} if self.failed else self.value)

    def to_message(self) -> ToolMessage:
        return ToolMessage(content=self.text, tool_call_id=self.call_id, name=self.tool, status="error" if self.failed else "success")


def answers_of(journal: Journal) -> dict[str, Answer]:
    """By the id of the call. The newest counts; the bridge makes ids unique within a run."""
    return {act.call_id: _to_answer(act) for act in journal if isinstance(act, ActEntry)}


def thinks_of(journal: Journal) -> list[ThinkEntry]:
    """The thinks that worked, in order."""
    return [entry for entry in journal if isinstance(entry, ThinkEntry) and entry.proposal is not None]


def corrections_of(journal: Journal) -> list[HumanMessage]:
    """What to tell the model about its replies since the last think that worked."""
    failed: list[HumanMessage] = []
    for entry in journal:
        if isinstance(entry, ThinkEntry) and entry.proposal is not None:
            failed = []
        elif isinstance(entry, ThinkEntry):
            reason = entry.error.message if entry.error is not None else "it was empty."
            failed.append(HumanMessage(f"Your last reply could not be used: {reason} Reply again."))
    return failed


def transcript_of(run_input: Any, journal: Journal) -> list[AnyMessage]:
    """The whole run as messages: for runnables that keep no messages of their own."""
    answers = answers_of(journal)
    messages: list[AnyMessage] = [HumanMessage(text_of(run_input))]
    for think in thinks_of(journal):
        messages.append(message_of(think))
        messages += [answers[call.id].to_message() for call in _calls(think) if call.id in answers]
    return messages


def message_of(think: ThinkEntry) -> AIMessage:
    calls = [{"type": "tool_call", "id": call.id, "name": call.tool, "args": call.args if isinstance(call.args, dict) else {}} for call in _calls(think)]
    return AIMessage(content=think.proposal.thought if think.proposal is not None else "", tool_calls=calls)


def text_of(value: Any) -> str:
    """Text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _calls(think: ThinkEntry) -> Sequence[Any]:
    return think.proposal.calls if think.proposal is not None else ()


def _to_answer(act: ActEntry) -> Answer:
    observation: Mapping[str, Any] = act.observation
    if "error" in observation:
        return Answer(act.call_id, act.tool, True, observation["error"])
    return Answer(act.call_id, act.tool, False, observation.get("output"))
