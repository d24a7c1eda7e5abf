"""What changed between two JSON trees. Each think keeps only that, so a run's state grows with what happens and not with its square.

A patch is one of
    {"=": value}                         the value is this now
    {"~": {key: patch}, "-": [key]}      an object: these keys changed, those are gone
    {"[": [kept, removed, [items]]}      an array: after `kept` items, `removed` are replaced by `items`
"""

from __future__ import annotations

from typing import Any

Patch = dict[str, Any]


def diff(old: Any, new: Any) -> Patch | None:
    """The patch that makes `new` of `old`; None: they are the same."""
    if isinstance(old, dict) and isinstance(new, dict):
        return _diff_objects(old, new)
    if isinstance(old, list) and isinstance(new, list):
        return _diff_arrays(old, new)
    return None if _same(old, new) else {"=": new}


def apply(old: Any, patch: Patch | None) -> Any:
    """`old` with the patch; neither argument is changed.

    Raises ValueError if the patch does not fit.
    """
    if patch is None:
        return old
    if "=" in patch:
        return patch["="]
    if "[" in patch and isinstance(old, list):
        kept, removed, items = patch["["]
        if kept + removed > len(old):
            raise ValueError(f"A patch replaces items {kept} to {kept + removed} of an array of {len(old)}.")
        return [*old[:kept], *items, *old[kept + removed :]]
    if "~" in patch and isinstance(old, dict):
        gone = set(patch.get("-", ()))
        kept_keys = {key: value for key, value in old.items() if key not in gone}
        return {**kept_keys, **{key: apply(old.get(key), change) for key, change in patch["~"].items()}}
    raise ValueError(f"A patch of kind {next(iter(patch), None)!r} does not fit a {type(old).__name__}.")


def _diff_objects(old: dict[str, Any], new: dict[str, Any]) -> Patch | None:
    changed: dict[str, Patch] = {}
    for key, value in new.items():
        change = diff(old[key], value) if key in old else {"=": value}
        if change is not None:
            changed[key] = change
    gone = [key for key in old if key not in new]
    if not changed and not gone:
        return None
    return {"~": changed, "-": gone} if gone else {"~": changed}


def _diff_arrays(old: list[Any], new: list[Any]) -> Patch | None:
    shorter = min(len(old), len(new))
    head = next((at for at in range(shorter) if not _same(old[at], new[at])), shorter)
    tail = next((at for at in range(shorter - head) if not _same(old[-1 - at], new[-1 - at])), shorter - head)
    if head == len(old) == len(new):
        return None
    return {"[": [head, len(old) - head - tail, new[head : len(new) - tail]]}


def _same(a: Any, b: Any) -> bool:
    """Equal, and 1 is not true."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(value, b[key]) for key, value in a.items())
    return bool(a == b)
