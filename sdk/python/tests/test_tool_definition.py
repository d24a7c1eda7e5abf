from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Literal, Optional

import pytest
from pydantic import BaseModel, Field

from openeaap.sdk import Tool, ToolContext, tool

DOCUMENT = '''
from openeaap.sdk import tool, ToolContext

@tool(
    name="check_ip_reputation",
    description="查询 IP 地址的威胁信誉分",
    args_schema=IPCheckInput # Pydantic Model
)
def check_ip_reputation(ctx: ToolContext, ip_address: str):
    api_key = ctx.secrets.get("THREAT_INTEL_KEY")
    result = requests.get(f"https://api.threat.com/v1/{ip_address}", headers={"x-api-key": api_key})
    return {"ip": ip_address, "score": result.json().get("risk_score"), "tags": result.json().get("tags")}
'''


class IPCheckInput(BaseModel):
    ip_address: str = Field(description="IPv4 or IPv6")


class Severity(Enum):
    LOW = "low"
    HIGH = "high"


class Asset(BaseModel):
    host: str
    tags: list[str] = []


class Node(BaseModel):
    name: str
    children: list[Node] = []


def schema(function: Any, **options: Any) -> dict[str, Any]:
    return tool(**options)(function).input_schema if options else tool(function).input_schema


def test_the_document_s_example_is_a_tool_as_it_stands(tmp_path: Any) -> None:
    """In a file of its own, as an author has it; ``requests`` answers from here."""

    class Answer:
        def json(self) -> dict[str, Any]:
            return {"risk_score": 90, "tags": ["botnet"]}

    asked: list[tuple[str, dict[str, str]]] = []

    class Requests:
        @staticmethod
        def get(url: str, headers: dict[str, str]) -> Answer:
            asked.append((url, headers))
            return Answer()

    file = tmp_path / "document_tools.py"
    file.write_text(DOCUMENT, "utf-8")
    names: dict[str, Any] = {"IPCheckInput": IPCheckInput, "requests": Requests, "__name__": "document_tools"}
    exec(compile(DOCUMENT, str(file), "exec"), names)
    made = names["check_ip_reputation"]
    assert isinstance(made, Tool)
    assert (made.name, made.description, made.effect) == ("check_ip_reputation", "查询 IP 地址的威胁信誉分", "write")
    assert made.input_schema == {
        "type": "object",
        "properties": {"ip_address": {"type": "string", "description": "IPv4 or IPv6"}},
        "required": ["ip_address"],
    }
    # Without being declared: the platform sends a tool what its spec names, and nothing else.
    assert made.secrets == ("THREAT_INTEL_KEY",)
    result = made(ToolContext(secrets={"THREAT_INTEL_KEY": "k-123"}), "1.2.3.4")
    assert result == {"ip": "1.2.3.4", "score": 90, "tags": ["botnet"]}
    assert asked[0] == ("https://api.threat.com/v1/1.2.3.4", {"x-api-key": "k-123"})


def test_a_bare_tool_takes_all_from_hints_and_docstring() -> None:
    @tool
    def find_asset(ctx: ToolContext, host: str, at: Optional[datetime] = None, level: Severity = Severity.LOW, limit: Annotated[int, Field(ge=1, le=50)] = 10) -> list[Asset]:
        """Finds assets.

        Use it before proposing a block.

        Args:
            host: Name or address,
                as the alert has it.
            level (Severity): How bad: low or high.
            limit: Most results.

        Returns:
            The assets.
        """
        return []

    assert find_asset.name == "find_asset"
    assert find_asset.description == "Finds assets.\n\nUse it before proposing a block."
    properties = find_asset.input_schema["properties"]
    assert list(properties) == ["host", "at", "level", "limit"]
    assert properties["host"] == {"type": "string", "description": "Name or address, as the alert has it."}
    assert properties["limit"] == {"type": "integer", "minimum": 1, "maximum": 50, "default": 10, "description": "Most results."}
    assert properties["level"]["description"] == "How bad: low or high."
    assert find_asset.input_schema["required"] == ["host"]
    assert find_asset.input_schema["additionalProperties"] is False


@pytest.mark.parametrize(
    "docstring",
    [
        "Does it.\n\nArgs:\n    host: The host.\n    port (int): The port: a number.",
        "Does it.\n\nParameters\n----------\nhost : str\n    The host.\nport\n    The port: a number.\n\nReturns\n-------\nint",
        "Does it.\n\n:param host: The host.\n:param int port: The port: a number.\n:returns: nothing",
    ],
    ids=["google", "numpy", "sphinx"],
)
def test_argument_descriptions_come_from_each_style_of_docstring(docstring: str) -> None:
    def connect(host: str, port: int) -> None: ...

    connect.__doc__ = docstring
    made = tool(connect)
    assert made.description == "Does it."
    assert {name: field["description"] for name, field in made.input_schema["properties"].items()} == {"host": "The host.", "port": "The port: a number."}


def test_a_described_annotation_counts_and_the_docstring_goes_before_it() -> None:
    def f(a: Annotated[str, "from the hint"], b: Annotated[str, Field(description="from the field")], c: Annotated[str, "from the hint"]) -> None:
        """F.

        Args:
            c: from the docstring
        """

    described = {name: field["description"] for name, field in schema(f)["properties"].items()}
    assert described == {"a": "from the hint", "b": "from the field", "c": "from the docstring"}


def test_parameters_may_have_any_name() -> None:
    def f(json: str, model_config: int, schema: str, copy: bool = False, self_: str = "") -> None:
        """F."""

    assert list(schema(f)["properties"]) == ["json", "model_config", "schema", "copy", "self_"]


def test_a_recursive_model_has_an_object_at_the_top() -> None:
    def f(name: str, children: list[Node]) -> None:
        """F."""

    made = schema(f, args_schema=Node)
    assert made["type"] == "object"
    assert made["properties"]["children"]["items"] == {"$ref": "#/$defs/Node"}
    assert "Node" in made["$defs"]


def test_called_directly_a_tool_is_its_function() -> None:
    @tool
    def add(a: int, b: int = 2) -> int:
        """Adds."""
        return a + b

    assert (add(1), add(1, b=5), add.__name__, add.__doc__) == (3, 6, "add", "Adds.")


def test_secrets_are_those_that_the_source_asks_for_unless_they_are_given() -> None:
    @tool
    def asks(context: ToolContext, name: str) -> str | None:
        """Asks."""
        return context.secrets["A"] + str(context.secrets.get("B")) + context.secrets.get(name, "") + {"x": 1}.get("C", "")  # type: ignore[operator]

    @tool(secrets=["X", "X"])
    def says(ctx: ToolContext) -> str:
        """Says."""
        return ctx.secrets["A"]

    @tool(secrets=[])
    def none(ctx: ToolContext) -> str:
        """None."""
        return ctx.secrets["A"]

    assert (asks.secrets, says.secrets, none.secrets) == (("A", "B"), ("X",), ())


class Renamed(BaseModel):
    host: str


class Listed(BaseModel):
    a: int


def wrong_effect() -> Any:
    return tool(effect="delete")(documented)  # type: ignore[call-overload]


def documented(host: str) -> None:
    """Documented."""


def undocumented(host: str) -> None: ...


def starred(*hosts: str) -> None:
    """Starred."""


def other_name(address: str) -> None:
    """Other name."""


def more_needed(host: str, port: int) -> None:
    """More needed."""


def unschemable(host: logging.Logger) -> None:
    """Unschemable."""


def unknown_hint(host: Unknown) -> None:  # type: ignore[name-defined]  # noqa: F821
    """Unknown hint."""


class Methods:
    def method(self, host: str) -> None:
        """Method."""


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: tool(undocumented), ["undocumented", "no description", "docstring"]),
        (lambda: tool(name="no spaces")(documented), ["no spaces", "letters, digits, _ and -"]),
        (lambda: tool(name="x" * 65)(documented), ["64"]),
        (lambda: tool(lambda host: host), ["<lambda>", "name"]),
        (wrong_effect, ["effect", "delete", "read, write, egress, destructive"]),
        (lambda: tool(timeout=0)(documented), ["timeout", "seconds"]),
        (lambda: tool(timeout=1e10)(documented), ["timeout"]),
        (lambda: tool(secrets="KEY")(documented), ["secrets", "list of names"]),
        (lambda: tool(starred), ["*hosts", "args_schema"]),
        (lambda: tool(args_schema=Renamed)(other_name), ["Renamed", "'host'", "does not take"]),
        (lambda: tool(args_schema=Renamed)(more_needed), ["'port'", "Renamed"]),
        (lambda: tool(args_schema=Renamed(host="x"))(documented), ["args_schema", "pydantic model class"]),  # type: ignore[call-overload]
        (lambda: tool(args_schema={"type": "array"})(documented), ["'host'", "no property"]),
        (lambda: tool(args_schema={"type": "array", "properties": {"host": {}}})(documented), ["type object", "'array'"]),
        (lambda: tool(unschemable), ["unschemable", "type hints", "args_schema"]),
        (lambda: tool(unknown_hint), ["unknown_hint", "'Unknown'", "Import it"]),
        (lambda: tool(Methods.method), ["method", "bound method"]),
        (lambda: tool(output_schema=logging.Logger)(documented), ["output_schema", "Logger"]),
        (lambda: tool("name")(documented), ["'name'", "@tool(name="]),  # type: ignore[call-overload]
    ],
)  # fmt: skip
def test_what_cannot_be_a_tool_is_refused_with_name_and_cure(make: Any, said: list[str]) -> None:
    with pytest.raises((TypeError, ValueError)) as refused:
        make()
    for part in said:
        assert part in str(refused.value)


def test_a_bound_method_and_an_object_can_be_tools() -> None:
    class Search:
        """Searches."""

        def __call__(self, query: str) -> str:
            return query

    method = tool(Methods().method)
    thing = tool(name="search")(Search())
    assert (list(method.input_schema["properties"]), method.name) == (["host"], "method")
    assert (list(thing.input_schema["properties"]), thing.description) == (["query"], "Searches.")


def test_the_schema_is_json_schema_that_can_be_sent() -> None:
    def f(mode: Literal["a", "b"], assets: list[Asset], extra: dict[str, int] | None = None) -> None:
        """F."""

    assert json.loads(json.dumps(schema(f))) == schema(f)


def test_an_output_schema_may_be_a_type() -> None:
    @dataclass
    class Score:
        value: int

    @tool(output_schema=Score)
    def score() -> Score:
        """Scores."""
        return Score(1)

    assert score.output_schema == {"type": "object", "properties": {"value": {"type": "integer"}}, "required": ["value"], "title": "Score"}
