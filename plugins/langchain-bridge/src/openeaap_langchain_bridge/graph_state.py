"""What a graph's think leaves in the journal, and how it is found again: each think keeps what it changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from openeaap.sdk import Proposal, StepFailed, ThinkEntry, ThinkRequest

from openeaap_langchain_bridge import json_delta
from openeaap_langchain_bridge.journal import thinks_of
from openeaap_langchain_bridge.run_checkpoints import Held
from openeaap_langchain_bridge.state_codec import StateCodec

KIND = "graph/1"

# A plain tool loop needs 2 to 3 KiB a think. What is larger is stored, sent and decoded at every think that follows.
MAX_STATE_BYTES = 256 * 1024


@dataclass
class GraphState:
    held: dict[str, Held]
    model_nodes: list[str]
    """Root nodes that are known to ask the model."""
    asked: dict[str, str] = field(default_factory=dict)
    """Interrupts of the graph that wait for an answer: id of the interrupt to id of the proposed call."""


def load_graph_state(request: ThinkRequest) -> GraphState | None:
    """As the newest think that worked left it; None at the start of a run."""
    tree = _fold(thinks_of(request.journal))
    if tree is None:
        return None
    codec = StateCodec(request.input, request.journal)
    held = {namespace: _to_held(part, codec) for namespace, part in tree["graphs"].items()}
    return GraphState(held, tree["model_nodes"], tree["asked"])


def save_graph_state(state: GraphState, request: ThinkRequest, proposal: Proposal) -> dict[str, Any]:
    """The strategy_state of this think. Raises StepFailed if it is too large or cannot be kept."""
    codec = StateCodec(request.input, request.journal, request.step_no, proposal)
    tree = {
        "graphs": {namespace: _from_held(held, codec) for namespace, held in state.held.items()},
        "model_nodes": state.model_nodes,
        "asked": state.asked,
    }
    saved = {"kind": KIND, "patch": json_delta.diff(_fold(thinks_of(request.journal)), tree)}
    size = len(json.dumps(saved, ensure_ascii=False).encode())
    if size > MAX_STATE_BYTES:
        raise StepFailed("INTERNAL", f"The graph's state changed by {size} bytes in one think, and {MAX_STATE_BYTES} are kept at most. The largest part is the channel {_largest_channel(tree)!r}: keep references to large things in the state, not the things.")
    return saved


def _fold(thinks: Sequence[ThinkEntry]) -> Any:
    tree = None
    for think in thinks:
        if isinstance(think.state, dict) and think.state.get("kind") == KIND:
            tree = json_delta.apply(tree, think.state["patch"])
    return tree


def _from_held(held: Held, codec: StateCodec) -> dict[str, Any]:
    writes = {f"{task} {number}": [channel, codec.encode(value), path] for (task, number), (_, channel, value, path) in held.writes.items()}
    return {"checkpoint": {key: codec.encode(value) for key, value in held.checkpoint.items()}, "metadata": codec.encode(held.metadata), "writes": writes}


def _to_held(part: dict[str, Any], codec: StateCodec) -> Held:
    checkpoint: Any = {key: codec.decode(value) for key, value in part["checkpoint"].items()}
    writes = {}
    for place, (channel, value, path) in part["writes"].items():
        task, _, number = place.rpartition(" ")
        writes[(task, int(number))] = (task, channel, codec.decode(value), path)
    return Held(checkpoint, codec.decode(part["metadata"]), writes)


def _largest_channel(tree: dict[str, Any]) -> str:
    sizes = {name: len(json.dumps(value)) for part in tree["graphs"].values() for name, value in part["checkpoint"]["channel_values"].items()}
    return max(sizes, key=lambda name: sizes[name], default="")
