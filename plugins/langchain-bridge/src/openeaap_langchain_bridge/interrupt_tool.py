from __future__ import annotations

from typing import Any

from openeaap.sdk import Tool, ToolContext, ToolError

_SCHEMA = {
    "type": "object",
    "properties": {
        "request": {"description": "What the agent asks of a person."},
        "answer": {"description": "The person's answer. Left out by the agent; whoever approves puts it in."},
    },
    "required": ["request"],
    "additionalProperties": False,
}


def interrupt_tool(name: str) -> Tool[..., Any]:
    """The tool by which a graph asks a person: its policy holds the call for approval, and the approver answers by editing it."""

    def ask(ctx: ToolContext, /, **arguments: Any) -> Any:
        if "answer" not in arguments:
            raise ToolError("Nobody has answered. Whoever decides on this call answers by editing it: put `answer` into its arguments. The policy must require approval for this tool.")
        return {"answer": arguments["answer"]}

    return Tool(
        ask,
        name=name,
        description="Asks a person a question of the agent's. The call is held until somebody answers by editing it: the answer goes into `answer`.",
        args_schema=_SCHEMA,
        effect="write",
        idempotent=True,
    )
