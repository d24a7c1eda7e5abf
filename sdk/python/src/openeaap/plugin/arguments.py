from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PydanticUserError, ValidationError, create_model

from openeaap.plugin.docstring import parse_docstring
from openeaap.plugin.schema import schema_of_arguments
from openeaap.plugin.step_failed import ErrorCode, StepFailed
from openeaap.plugin.tool_context import ToolContext

_ERRORS_SHOWN = 5
_Parameters = Mapping[str, inspect.Parameter]


@dataclass(frozen=True)
class Arguments:
    """How the JSON arguments of a call become those of the function."""

    schema: dict[str, Any]
    context: str | None
    """Name of the parameter that takes the ToolContext, if there is one."""
    bind: Callable[[str, ToolContext], tuple[list[Any], dict[str, Any]]]


def read_arguments(
    name: str, function: Callable[..., Any], args_schema: type[BaseModel] | Mapping[str, Any] | None
) -> Arguments:
    """Works out schema and binding, once, when the tool is made.

    Raises TypeError, which names the tool, the parameter and the cure.
    """
    parameters = dict(inspect.signature(function).parameters)
    hints = _hints(name, function, parameters, needed=args_schema is None)
    context = _context_parameter(parameters, hints)
    own = {key: parameter for key, parameter in parameters.items() if key != context}
    if next(iter(own), None) == "self":
        raise TypeError(f"Tool {name}: a method needs its object. Make the tool of the bound method: tool(...)(thing.method).")
    if args_schema is None:
        schema, parse = _derived(name, function, own, hints)
    elif isinstance(args_schema, Mapping):
        schema, parse = _raw(name, own, hints, args_schema)
    elif isinstance(args_schema, type) and issubclass(args_schema, BaseModel):
        schema, parse = _modelled(name, own, hints, args_schema)
    else:
        raise TypeError(f"Tool {name}: args_schema is {args_schema!r}. Give a pydantic model class or a JSON Schema as a dict.")
    if schema.get("type") != "object":
        raise TypeError(f"Tool {name}: the schema of the arguments must be of type object, not {schema.get('type')!r}.")
    return Arguments(schema, context, _binder(parameters, context, parse))


def _binder(
    parameters: _Parameters, context: str | None, parse: Callable[[str], dict[str, Any]]
) -> Callable[[str, ToolContext], tuple[list[Any], dict[str, Any]]]:
    # The context goes by position where it can: then an argument may have its name.
    leading = [key for key, parameter in parameters.items() if parameter.kind is parameter.POSITIONAL_ONLY]
    if not leading and context is not None and next(iter(parameters)) == context and parameters[context].kind is not inspect.Parameter.KEYWORD_ONLY:
        leading = [context]

    def bind(payload: str, ctx: ToolContext) -> tuple[list[Any], dict[str, Any]]:
        values = parse(payload)
        positional = [ctx if key == context else values.pop(key) for key in leading]
        if context is not None and context not in leading:
            values[context] = ctx
        return positional, values

    return bind


def _derived(
    name: str, function: Callable[..., Any], own: _Parameters, hints: Mapping[str, Any]
) -> tuple[dict[str, Any], Callable[[str], dict[str, Any]]]:
    described = parse_docstring(function.__doc__).arguments
    keys = list(own)
    # Fields are named by position, arguments by alias: so a parameter may be called json or copy.
    fields: dict[str, Any] = {}
    for index, (key, parameter) in enumerate(own.items()):
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(f"Tool {name}: *{key} has no schema. Name the arguments, or give args_schema.")
        hint = hints.get(key, Any)
        description = described.get(key) or _annotated_text(hint)
        default = ... if parameter.default is parameter.empty else parameter.default
        # Without one of ours, a description by Annotated[..., Field(description=...)] counts.
        told = Field(default, alias=key, description=description) if description else Field(default, alias=key)
        fields[f"argument_{index}"] = (hint, told)
    try:
        model = create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
        schema = schema_of_arguments(model)
    except PydanticUserError as error:
        raise TypeError(f"Tool {name}: its type hints cannot be turned into a JSON Schema: {error.message} Give args_schema.") from error
    schema.setdefault("properties", {})

    def parse(payload: str) -> dict[str, Any]:
        parsed = _validated(model, payload)
        return {key: getattr(parsed, f"argument_{index}") for index, key in enumerate(keys)}

    return schema, parse


def _modelled(
    name: str, own: _Parameters, hints: Mapping[str, Any], model: type[BaseModel]
) -> tuple[dict[str, Any], Callable[[str], dict[str, Any]]]:
    try:
        schema = schema_of_arguments(model)
    except PydanticUserError as error:
        raise TypeError(f"Tool {name}: args_schema {model.__name__} has no JSON Schema: {error.message}") from error
    schema.setdefault("properties", {})
    whole = _takes_whole(own, hints, model)
    if whole is not None:
        return schema, lambda payload: {whole: _validated(model, payload)}
    rest = any(parameter.kind is parameter.VAR_KEYWORD for parameter in own.values())
    taken = {key for key, parameter in own.items() if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)}
    lost = sorted(set(model.model_fields) - taken)
    if lost and not rest:
        raise TypeError(f"Tool {name}: args_schema {model.__name__} has the field {lost[0]!r}, which the function does not take.")
    missing = sorted(key for key in taken - set(model.model_fields) if own[key].default is inspect.Parameter.empty)
    if missing:
        raise TypeError(f"Tool {name}: the function needs {missing[0]!r}, which args_schema {model.__name__} does not have.")

    def parse(payload: str) -> dict[str, Any]:
        parsed = _validated(model, payload)
        values = {key: getattr(parsed, key) for key in model.model_fields}
        return {**(parsed.model_extra or {}), **values} if rest else values

    return schema, parse


def _raw(
    name: str, own: _Parameters, hints: Mapping[str, Any], schema: Mapping[str, Any]
) -> tuple[dict[str, Any], Callable[[str], dict[str, Any]]]:
    """The platform has validated by the schema; here the arguments stay plain JSON."""
    properties = schema.get("properties", {})
    keys = list(own)
    if len(keys) == 1 and keys[0] not in properties and _takes_object(own[keys[0]], hints.get(keys[0])):
        return dict(schema), lambda payload: {keys[0]: _json_object(payload)}
    rest = any(parameter.kind is parameter.VAR_KEYWORD for parameter in own.values())
    needed = {key for key, parameter in own.items() if parameter.default is parameter.empty and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)}
    unknown = sorted(needed - set(properties))
    if unknown:
        raise TypeError(f"Tool {name}: the function needs {unknown[0]!r}, which args_schema has no property for.")

    def parse(payload: str) -> dict[str, Any]:
        values = _json_object(payload)
        for key in sorted(needed - set(values)):
            raise StepFailed(ErrorCode.INVALID_INPUT, f"{key}: this argument is required.")
        for key in sorted(set() if rest else set(values) - set(own)):
            raise StepFailed(ErrorCode.INVALID_INPUT, f"{key}: there is no such argument.")
        return values

    return dict(schema), parse


def _takes_object(parameter: inspect.Parameter, hint: Any) -> bool:
    """``def f(args: dict)`` takes the arguments as the object that they are."""
    kind = typing.get_origin(hint) or hint
    is_mapping = isinstance(kind, type) and issubclass(kind, Mapping)
    return is_mapping and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)


def _validated(model: type[BaseModel], payload: str) -> Any:
    try:
        return model.model_validate_json(payload or "{}")
    except ValidationError as error:
        raise StepFailed(ErrorCode.INVALID_INPUT, _message_of(error)) from error


def _message_of(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    told = [_problem(problem) for problem in problems[:_ERRORS_SHOWN]]
    hidden = len(problems) - len(told)
    return " ".join(told) + (f" And {hidden} more." if hidden else "")


def _problem(problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    said = {
        "missing": "this argument is required",
        "extra_forbidden": "there is no such argument",
        "model_type": "the arguments must be a JSON object",
    }.get(problem["type"], problem["msg"])
    return f"{where}: {said}." if where else f"input_payload: {said}."


def _json_object(payload: str) -> dict[str, Any]:
    try:
        value = json.loads(payload or "{}")
    except (ValueError, RecursionError) as error:
        raise StepFailed(ErrorCode.INVALID_INPUT, f"input_payload: not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise StepFailed(ErrorCode.INVALID_INPUT, "input_payload: the arguments must be a JSON object.")
    return value


def _hints(name: str, function: Callable[..., Any], parameters: _Parameters, needed: bool) -> dict[str, Any]:
    """The parameters' hints as types; that of the result may be anything.

    Where the schema is given, a hint that cannot be resolved is no trouble.
    """
    bare = inspect.unwrap(getattr(function, "func", function))
    target = bare if inspect.isroutine(bare) else getattr(bare, "__call__", bare)
    names = getattr(target, "__globals__", None) or getattr(getattr(target, "__func__", None), "__globals__", {})
    hints: dict[str, Any] = {}
    for key, parameter in parameters.items():
        if parameter.annotation is parameter.empty:
            continue
        holder = SimpleNamespace(__annotations__={key: parameter.annotation})
        try:
            hints.update(typing.get_type_hints(holder, names, include_extras=True))
        except NameError as error:
            if parameter.annotation == ToolContext.__name__:
                hints[key] = ToolContext
            elif needed:
                raise TypeError(f"Tool {name}: the type hint {error.name!r} of {key!r} is not known where the function is defined. Import it at the top of the module, not under TYPE_CHECKING or inside of a function.") from error
    return hints


def _context_parameter(parameters: _Parameters, hints: Mapping[str, Any]) -> str | None:
    for key in parameters:
        hint = hints.get(key)
        if hint is ToolContext or ToolContext in typing.get_args(hint):
            return key
    first = next(iter(parameters), None)
    return first if first == "ctx" and "ctx" not in hints else None


def _takes_whole(own: _Parameters, hints: Mapping[str, Any], model: type[BaseModel]) -> str | None:
    if len(own) != 1:
        return None
    key = next(iter(own))
    hint = hints.get(key)
    return key if isinstance(hint, type) and issubclass(model, hint) and issubclass(hint, BaseModel) else None


def _annotated_text(hint: Any) -> str | None:
    """``Annotated[str, "the host"]`` describes an argument as well."""
    if typing.get_origin(hint) is not Annotated:
        return None
    return next((extra for extra in typing.get_args(hint)[1:] if isinstance(extra, str)), None)
