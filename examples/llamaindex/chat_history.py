from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from llama_index.core.base.llms.types import TextBlock, ToolCallBlock
from llama_index.core.llms import ChatMessage, MessageRole
from openeaap.sdk import ActEntry, ThinkEntry


def to_chat_history(journal: Sequence[ThinkEntry | ActEntry]) -> list[ChatMessage]:
    """The run so far in messages of LlamaIndex: each think, then what came of its calls."""
    messages: list[ChatMessage] = []
    for think in (entry for entry in journal if isinstance(entry, ThinkEntry)):
        acts = [entry for entry in journal if isinstance(entry, ActEntry) and entry.think_no == think.no]
        messages += _to_turn(think, acts)
    return messages


def to_question(run_input: Any) -> str:
    """The input as the user's message: text as it is, anything else as JSON."""
    return run_input if isinstance(run_input, str) else json.dumps(run_input, ensure_ascii=False, indent=2)


def _to_turn(think: ThinkEntry, acts: list[ActEntry]) -> list[ChatMessage]:
    if think.proposal is None:
        why = think.error.message if think.error else "it was empty."
        return [ChatMessage(role=MessageRole.USER, content=f"Your last reply could not be used: {why} Reply again.")]
    thought = [TextBlock(text=think.proposal.thought)] if think.proposal.thought else []
    blocks: list[TextBlock | ToolCallBlock] = [*thought, *map(_to_call, acts)]
    if not blocks:
        return []
    return [ChatMessage(role=MessageRole.ASSISTANT, blocks=blocks), *map(_to_result, acts)]


def _to_call(act: ActEntry) -> ToolCallBlock:
    """With the arguments that were run: an approver may have edited those that were proposed."""
    args = act.args if isinstance(act.args, dict) else {}
    return ToolCallBlock(tool_call_id=act.call_id, tool_name=act.tool, tool_kwargs=args)


def _to_result(act: ActEntry) -> ChatMessage:
    """The whole observation: for the model a denial is a result as any other."""
    content = json.dumps(act.observation, ensure_ascii=False)
    return ChatMessage(role=MessageRole.TOOL, content=content, additional_kwargs={"tool_call_id": act.call_id, "name": act.tool})
