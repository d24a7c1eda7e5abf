"""Values of a graph's state as JSON and back. What the journal has anyway is a reference into it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, FunctionMessage, HumanMessage, RemoveMessage, SystemMessage, ToolMessage, messages_from_dict
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.types import Interrupt, Send
from openeaap.sdk import ActEntry, Proposal, StepFailed, ThinkEntry

from openeaap_langchain_bridge.journal import Journal, answers_of, text_of

# Shorter ones are not worth a reference.
_REFERENCE_MIN_CHARS = 40

_PLAIN_MESSAGES = {AIMessage, ChatMessage, FunctionMessage, HumanMessage, RemoveMessage, SystemMessage, ToolMessage}


class StateCodec:
    """Encodes and decodes against one journal. `proposal` is what this think, number `no`, leads to."""

    def __init__(self, run_input: Any, journal: Journal, no: int = 0, proposal: Proposal | None = None) -> None:
        self._by_key = dict(_references(run_input, journal, no, proposal))
        self._by_text: dict[str, str] = {}
        for key, value in self._by_key.items():
            # The oldest place wins: so a value keeps its reference while the journal grows.
            self._by_text.setdefault(_canonical(value), key)
        self._serializer = JsonPlusSerializer()

    def encode(self, value: Any) -> Any:
        """Raises StepFailed for what cannot be kept."""
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, str):
            return self._reference(value) or str(value)
        if type(value) is list:
            return [self.encode(item) for item in value]
        if type(value) is dict and all(isinstance(key, str) for key in value):
            return self._encode_object(value)
        if type(value) is tuple:
            return {"$tuple": [self.encode(item) for item in value]}
        if isinstance(value, Send):
            return {"$send": [value.node, self.encode(value.arg)]}
        if isinstance(value, Interrupt):
            return {"$interrupt": [self.encode(value.value), value.id]}
        if type(value) in _PLAIN_MESSAGES:
            return {"$message": [value.type, self._encode_object(_fields(value))]}
        return self._encode_other(value)

    def decode(self, tree: Any) -> Any:
        if isinstance(tree, list):
            return [self.decode(item) for item in tree]
        if not isinstance(tree, dict):
            return tree
        tag = next(iter(tree)) if len(tree) == 1 else ""
        body: Any = tree.get(tag)
        if tag == "$ref":
            return self._resolve(str(body))
        if tag == "$object":
            return {key: self.decode(value) for key, value in body}
        if tag == "$tuple":
            return tuple(self.decode(item) for item in body)
        if tag == "$send":
            return Send(body[0], self.decode(body[1]))
        if tag == "$interrupt":
            return Interrupt(value=self.decode(body[0]), id=body[1])
        if tag == "$message":
            return messages_from_dict([{"type": body[0], "data": self.decode(body[1])}])[0]
        if tag == "$typed":
            return self._serializer.loads_typed((body[0], base64.b64decode(body[1])))
        return {key: self.decode(value) for key, value in tree.items()}

    def _encode_object(self, value: dict[str, Any]) -> Any:
        reference = self._reference(value)
        if reference is not None:
            return reference
        if len(value) == 1 and next(iter(value)).startswith("$"):
            return {"$object": [[key, self.encode(item)] for key, item in value.items()]}
        return {key: self.encode(item) for key, item in value.items()}

    def _encode_other(self, value: Any) -> Any:
        try:
            kind, data = self._serializer.dumps_typed(value)
        except Exception as error:
            raise StepFailed("INTERNAL", f"The graph's state holds a {type(value).__name__}, which cannot be kept between two steps. Keep plain data, messages, dataclasses or pydantic models in the state.") from error
        return {"$typed": [kind, base64.b64encode(data).decode("ascii")]}

    def _reference(self, value: Any) -> dict[str, str] | None:
        if isinstance(value, str) and len(value) < _REFERENCE_MIN_CHARS:
            return None
        try:
            key = self._by_text.get(_canonical(value))
        except (TypeError, ValueError):
            return None
        return None if key is None else {"$ref": key}

    def _resolve(self, key: str) -> Any:
        if key not in self._by_key:
            raise StepFailed("INTERNAL", f"The state of the run refers to {key!r}, which its journal does not have.")
        return self._by_key[key]


def _references(run_input: Any, journal: Journal, no: int, proposal: Proposal | None) -> Iterator[tuple[str, Any]]:
    """Places of the journal that are long enough, the oldest first."""
    answers = answers_of(journal)
    everything: list[tuple[str, Any]] = [("input", text_of(run_input))]
    for entry in journal:
        if isinstance(entry, ActEntry):
            everything.append((f"act:{entry.call_id}", answers[entry.call_id].text))
        elif isinstance(entry, ThinkEntry) and entry.proposal is not None:
            everything += _places(entry.no, entry.proposal)
    if proposal is not None:
        everything += _places(no, proposal)
    return ((key, value) for key, value in everything if len(_canonical(value)) >= _REFERENCE_MIN_CHARS)


def _places(no: int, proposal: Proposal) -> list[tuple[str, Any]]:
    return [(f"thought:{no}", proposal.thought), *((f"args:{no}:{call.id}", call.args) for call in proposal.calls)]


def _fields(message: BaseMessage) -> dict[str, Any]:
    fields = message.model_dump(exclude_defaults=True, exclude={"type"})
    if fields.get("tool_calls") and "additional_kwargs" in fields:
        # The same calls once more, as the API wrote them; nobody reads them where tool_calls is set.
        fields["additional_kwargs"] = {key: value for key, value in fields["additional_kwargs"].items() if key != "tool_calls"}
    return {"content": message.content, **fields}


def _canonical(value: Any) -> str:
    """One text for equal values; a text that is the JSON of an object is another value than the object."""
    return f"text {value}" if isinstance(value, str) else f"json {json.dumps(value, ensure_ascii=False, sort_keys=True)}"
