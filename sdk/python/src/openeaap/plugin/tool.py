from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, cast, get_args, overload

from pydantic import BaseModel, PydanticUserError, TypeAdapter
from typing_extensions import ParamSpec, TypeVar

from openeaap.plugin.agent import NAME_PATTERN
from openeaap.plugin.arguments import read_arguments
from openeaap.plugin.docstring import parse_docstring
from openeaap.plugin.schema import schema_of_result
from openeaap.plugin.think import Effect

P = ParamSpec("P", default=...)
R = TypeVar("R", default=Any)

DEFAULT_VERSION = "1.0.0"
_MAX_TIMEOUT_SECONDS = 4_294_967
"""What timeout_ms holds, a uint32."""


class Tool(Generic[P, R]):
    """A function that the platform may call. Called directly, it is the function."""

    name: str
    version: str
    description: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any] | None
    effect: Effect
    idempotent: bool
    timeout: float | None
    secrets: tuple[str, ...]
    untrusted_output: bool
    handles_dry_run: bool

    def __init__(
        self,
        function: Callable[P, R],
        *,
        name: str | None = None,
        description: str | None = None,
        args_schema: type[BaseModel] | Mapping[str, Any] | None = None,
        output_schema: Any = None,
        effect: Effect = "write",
        idempotent: bool = False,
        timeout: float | None = None,
        secrets: Sequence[str] | None = None,
        untrusted_output: bool = False,
        handles_dry_run: bool = False,
        version: str = DEFAULT_VERSION,
    ) -> None:
        self.function = function
        self.name = _checked_name(name or str(getattr(function, "__name__", "")))
        self.version = version
        self.description = _checked_description(self.name, description or parse_docstring(function.__doc__).summary)
        self.arguments = read_arguments(self.name, function, args_schema)
        self.input_schema = self.arguments.schema
        self.result_type, self.output_schema = _read_output(self.name, output_schema)
        if effect not in get_args(Effect):
            raise ValueError(f"Tool {self.name}: effect {effect!r} is none of {', '.join(get_args(Effect))}.")
        self.effect = effect
        self.idempotent = idempotent
        self.timeout = _checked_timeout(self.name, timeout)
        self.secrets = _checked_secrets(self.name, secrets, function, self.arguments.context)
        self.untrusted_output = untrusted_output
        self.handles_dry_run = handles_dry_run
        functools.update_wrapper(cast(Callable[..., Any], self), function, updated=())

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"Tool({self.name!r}, effect={self.effect!r})"


@overload
def tool(function: Callable[P, R], /) -> Tool[P, R]: ...


@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    args_schema: type[BaseModel] | Mapping[str, Any] | None = None,
    output_schema: Any = None,
    effect: Effect = "write",
    idempotent: bool = False,
    timeout: float | None = None,
    secrets: Sequence[str] | None = None,
    untrusted_output: bool = False,
    handles_dry_run: bool = False,
    version: str = DEFAULT_VERSION,
) -> Callable[[Callable[P, R]], Tool[P, R]]: ...


def tool(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Makes a tool of a function, bare or with options.

    name, description, args_schema: default to the function's name, docstring and type hints.
        args_schema is a pydantic model, whose fields the function takes by name, or a JSON Schema
        as a dict; then the arguments stay plain JSON.
    effect: "read", "write", "egress" or "destructive". What it says decides what policies ask
        for, so a tool that says nothing is taken for one that writes.
    idempotent: a second call with the same ctx.idempotency_key has no second effect. After a
        crash the platform believes it.
    timeout: seconds; the platform's default is 30.
    secrets: names. Not given: those that the function's source asks ctx.secrets for by literal name.
    untrusted_output: results come from outside of the enterprise and may carry instructions.
    handles_dry_run: the function looks at ctx.dry_run. Without it a dry run of a tool that has an
        effect is refused.
    output_schema: a type or a JSON Schema as a dict; with a type, results are checked by it.
    """
    if function is not None:
        if not callable(function):
            raise TypeError(f"@tool got {function!r}. Its options are named: @tool(name=...).")
        return Tool(function)
    return lambda wrapped: Tool(wrapped, **options)


def _checked_name(name: str) -> str:
    if isinstance(name, str) and NAME_PATTERN.fullmatch(name):
        return name
    raise ValueError(f"The tool name {name!r} is none: use 1 to 64 letters, digits, _ and -, by @tool(name=...).")


def _checked_description(name: str, description: str) -> str:
    if description.strip():
        return description.strip()
    raise ValueError(f"Tool {name} has no description, and models choose tools by it: write a docstring or give description=...")


def _read_output(name: str, output_schema: Any) -> tuple[TypeAdapter[Any] | None, dict[str, Any] | None]:
    if output_schema is None:
        return None, None
    if isinstance(output_schema, Mapping):
        return None, dict(output_schema)
    try:
        kind: TypeAdapter[Any] = TypeAdapter(output_schema)
        return kind, schema_of_result(kind)
    except PydanticUserError as error:
        raise TypeError(f"Tool {name}: output_schema {output_schema!r} has no JSON Schema: {error.message}") from error


def _checked_timeout(name: str, timeout: float | None) -> float | None:
    if timeout is None:
        return None
    if not 0.001 <= timeout <= _MAX_TIMEOUT_SECONDS:
        raise ValueError(f"Tool {name}: timeout {timeout!r} is not between 0.001 and {_MAX_TIMEOUT_SECONDS} seconds.")
    return timeout


def _checked_secrets(name: str, secrets: Sequence[str] | None, function: Callable[..., Any], context: str | None) -> tuple[str, ...]:
    if secrets is None:
        return _secrets_asked_for(function, context)
    if isinstance(secrets, str) or not all(isinstance(secret, str) and secret for secret in secrets):
        raise TypeError(f"Tool {name}: secrets is {secrets!r}; give a list of names.")
    return tuple(dict.fromkeys(secrets))


def _secrets_asked_for(function: Callable[..., Any], context: str | None) -> tuple[str, ...]:
    """Literal names in ``ctx.secrets.get("X")`` and ``ctx.secrets["X"]``; () without a source."""
    if context is None:
        return ()
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return ()
    asked = (_asked_name(node, context) for node in ast.walk(tree))
    return tuple(dict.fromkeys(name for name in asked if name))


def _asked_name(node: ast.AST, context: str) -> str | None:
    if isinstance(node, ast.Subscript):
        held, key = node.value, node.slice
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get" and node.args:
        held, key = node.func.value, node.args[0]
    else:
        return None
    of_context = isinstance(held, ast.Attribute) and held.attr == "secrets" and isinstance(held.value, ast.Name) and held.value.id == context
    return key.value if of_context and isinstance(key, ast.Constant) and isinstance(key.value, str) else None
