from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field

_SECTIONS = {
    "args", "arguments", "parameters", "params", "keyword args", "keyword arguments", "other parameters",
    "returns", "return", "yields", "yield", "raises", "raise", "except", "exceptions", "example", "examples",
    "note", "notes", "warning", "warnings", "warns", "see also", "attributes", "references", "todo",
}  # fmt: skip
_ARGUMENT_SECTIONS = {"args", "arguments", "parameters", "params", "keyword args", "keyword arguments", "other parameters"}

_GOOGLE_ARGUMENT = re.compile(r"\*{0,2}(?P<name>\w+)\s*(?:\((?P<type>[^)]*)\))?\s*:\s*(?P<text>.*)")
_SPHINX_ARGUMENT = re.compile(r":param\s+(?:[^:]*\s)?\*{0,2}(?P<name>\w+)\s*:\s*(?P<text>.*)")
_SPHINX_FIELD = re.compile(r":\w+(\s[^:]*)?:")


@dataclass
class Docstring:
    """What a model is to read: all before the first section, and a description per argument."""

    summary: str = ""
    arguments: dict[str, str] = field(default_factory=dict)


def parse_docstring(text: str | None) -> Docstring:
    """Reads Google style, NumPy style and Sphinx fields. Never fails: what is neither is prose."""
    lines = inspect.cleandoc(text or "").splitlines()
    parsed = Docstring()
    prose: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        underlined = at + 1 < len(lines) and re.fullmatch(r"-{3,}", lines[at + 1].strip()) is not None
        title = line.strip().rstrip(":").lower()
        if title in _SECTIONS and (underlined or line.rstrip().endswith(":")) and not line.startswith(" "):
            body, at = _section(lines, at + (2 if underlined else 1), underlined)
            if title in _ARGUMENT_SECTIONS:
                parsed.arguments.update(_numpy_arguments(body) if underlined else _google_arguments(body))
            continue
        if _SPHINX_FIELD.match(line.strip()):
            at = _sphinx_field(lines, at, parsed.arguments)
            continue
        prose.append(line.rstrip())
        at += 1
    parsed.summary = "\n".join(prose).strip()
    return parsed


def _section(lines: list[str], start: int, underlined: bool) -> tuple[list[str], int]:
    """Google: while indented. NumPy: until the next underlined title."""
    end = start
    while end < len(lines):
        line = lines[end]
        if underlined:
            if end + 1 < len(lines) and re.fullmatch(r"-{3,}", lines[end + 1].strip()):
                break
        elif line.strip() and not line.startswith((" ", "\t")):
            break
        end += 1
    return lines[start:end], end


def _google_arguments(body: list[str]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    margin = min((_indent(line) for line in body if line.strip()), default=0)
    current: list[str] | None = None
    for line in body:
        match = _GOOGLE_ARGUMENT.fullmatch(line.strip()) if _indent(line) == margin else None
        if match:
            current = found.setdefault(match["name"], [])
            current.append(match["text"])
        elif current is not None:
            current.append(line.strip())
    return {name: " ".join(filter(None, words)) for name, words in found.items()}


def _numpy_arguments(body: list[str]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    current: list[list[str]] = []
    for line in body:
        if line.strip() and not line.startswith((" ", "\t")):
            names = line.split(":", 1)[0].split(",")
            current = [found.setdefault(name.strip().lstrip("*"), []) for name in names]
        else:
            for words in current:
                words.append(line.strip())
    return {name: " ".join(filter(None, words)) for name, words in found.items()}


def _sphinx_field(lines: list[str], at: int, arguments: dict[str, str]) -> int:
    match = _SPHINX_ARGUMENT.match(lines[at].strip())
    words = [match["text"]] if match else []
    at += 1
    while at < len(lines) and lines[at].startswith((" ", "\t")):
        words.append(lines[at].strip())
        at += 1
    if match:
        arguments[match["name"]] = " ".join(filter(None, words))
    return at


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
