from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from llama_index.core.tools import ToolMetadata
from openeaap.sdk import ThinkRequest


@dataclass
class OfferedTool(ToolMetadata):
    """A tool of the platform as LlamaIndex describes one to a model. There is nothing in it to call: a call is proposed."""

    input_schema: dict[str, Any] = field(default_factory=dict)

    def get_parameters_dict(self) -> dict[str, Any]:
        """The platform's JSON Schema as it is; LlamaIndex changes what it gets."""
        return copy.deepcopy(self.input_schema)


def offered_tools(request: ThinkRequest) -> list[OfferedTool]:
    """What may be proposed in this step."""
    return [
        OfferedTool(name=tool.name, description=tool.description, fn_schema=None, input_schema=tool.input_schema)
        for tool in request.tools
        if tool.name not in request.constraints.blocked_tools
    ]
