from __future__ import annotations

from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema


class _PlainJsonSchema(GenerateJsonSchema):
    """Titles that only repeat a field's name cost a model tokens and tell it nothing."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def schema_of_arguments(model: type[BaseModel]) -> dict[str, Any]:
    """JSON Schema 2020-12 of what the model parses; at the top an object and no reference."""
    schema = model.model_json_schema(schema_generator=_PlainJsonSchema, mode="validation")
    # A model that refers to itself is a reference at the top; pydantic up to 2.8 wraps it in allOf.
    reference = schema.pop("$ref", None)
    if reference is None and "type" not in schema and len(schema.get("allOf", ())) == 1:
        reference = schema.pop("allOf")[0].get("$ref")
    if isinstance(reference, str):
        schema = {**schema["$defs"][reference.rsplit("/", 1)[1]], **schema}
    schema.pop("title", None)
    return schema


def schema_of_result(kind: TypeAdapter[Any]) -> dict[str, Any]:
    return kind.json_schema(schema_generator=_PlainJsonSchema, mode="serialization")
