from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import WRITES_IDX_MAP, BaseCheckpointSaver, Checkpoint, CheckpointMetadata, CheckpointTuple

# Of a checkpoint's metadata, what the next superstep reads.
_METADATA = ("source", "step", "parents")


@dataclass
class Held:
    """The newest checkpoint of one namespace, and what tasks of its superstep have written so far."""

    checkpoint: Checkpoint
    metadata: dict[str, Any]
    writes: dict[tuple[str, int], tuple[str, str, Any, str]] = field(default_factory=dict)
    """(task, number) to (task, channel, value, path of the task)."""


class RunCheckpoints(BaseCheckpointSaver[int]):
    """The checkpoints of one run during one think: in memory, and only the newest of each graph."""

    def __init__(self, held: dict[str, Held] | None = None, on_superstep: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self.held = held or {}
        self._on_superstep = on_superstep

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        at = config["configurable"]
        namespace = at.get("checkpoint_ns", "")
        held = self.held.get(namespace)
        if held is None or at.get("checkpoint_id", held.checkpoint["id"]) != held.checkpoint["id"]:
            return None
        return CheckpointTuple(
            config={"configurable": {"thread_id": at["thread_id"], "checkpoint_ns": namespace, "checkpoint_id": held.checkpoint["id"]}},
            checkpoint=deepcopy(held.checkpoint),
            metadata=dict(held.metadata),  # type: ignore[arg-type]
            pending_writes=[(task, channel, deepcopy(value)) for task, channel, value, _ in held.writes.values()],
        )

    def put(self, config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata, new_versions: Any) -> RunnableConfig:
        at = config["configurable"]
        namespace = at.get("checkpoint_ns", "")
        # A copy: nodes may change messages in place, and a node that is run again must find them as they were.
        self.held[namespace] = Held(deepcopy(checkpoint), {key: metadata[key] for key in _METADATA if key in metadata})  # type: ignore[literal-required]
        self._on_superstep()
        return {"configurable": {"thread_id": at["thread_id"], "checkpoint_ns": namespace, "checkpoint_id": checkpoint["id"]}}

    def put_writes(self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = "") -> None:
        at = config["configurable"]
        held = self.held.get(at.get("checkpoint_ns", ""))
        if held is None or at.get("checkpoint_id") != held.checkpoint["id"]:
            return
        for number, (channel, value) in enumerate(writes):
            # Interrupts, resumed values and errors have one place a task.
            held.writes[(task_id, WRITES_IDX_MAP.get(channel, number))] = (task_id, channel, deepcopy(value), task_path)

    def list(self, config: RunnableConfig | None, **_: Any) -> Iterator[CheckpointTuple]:
        found = self.get_tuple(config) if config is not None else None
        return iter([found] if found is not None else [])

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        return self.get_tuple(config)

    async def aput(self, config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata, new_versions: Any) -> RunnableConfig:
        return self.put(config, checkpoint, metadata, new_versions)

    async def aput_writes(self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = "") -> None:
        self.put_writes(config, writes, task_id, task_path)

    async def alist(self, config: RunnableConfig | None, **_: Any) -> AsyncIterator[CheckpointTuple]:
        for found in self.list(config):
            yield found

    def drop_finished(self, pending_tasks: Sequence[tuple[str, str]]) -> None:
        """Forgets subgraphs whose task, a (name, id), is not waiting any more."""
        waiting = tuple(f"{name}:{task_id}" for name, task_id in pending_tasks)
        self.held = {namespace: held for namespace, held in self.held.items() if namespace == "" or namespace.startswith(waiting)}
