from __future__ import annotations

from typing import Any

from langchain_core.tools import BaseTool, Tool


def input_schema_of(tool: BaseTool) -> dict[str, Any]:
    """JSON Schema of the arguments that a model gives; those that a graph injects are not among them."""
    if isinstance(tool, Tool) and tool.args_schema is None:
        # The name that LangChain itself gives the model for a tool that takes one text.
        return {"type": "object", "properties": {"__arg1": {"type": "string"}}, "required": ["__arg1"]}
    schema = tool.tool_call_schema
    if isinstance(schema, dict):
        found = dict(schema)
    elif hasattr(schema, "model_json_schema"):
        found = schema.model_json_schema()
    else:
        found = schema.schema()
    return {"type": "object", "properties": {}, **{key: value for key, value in found.items() if key not in ("title", "description")}}
