from __future__ import annotations

import json
import random

import pytest

from openeaap_langchain_bridge import json_delta

PAIRS = [
    (None, {"a": 1}),
    ({"a": 1}, None),
    ({"a": 1, "b": [1, 2]}, {"a": 1, "b": [1, 2, 3]}),
    ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2}, "d": None}}),
    ({"a": 1, "b": 2}, {"b": 2}),
    ([1, 2, 3, 4], [1, 9, 4]),
    ([1, 1, 1], [1, 1]),
    ([], [[]]),
    ([1], [True]),
    ({"a": 1}, {"a": True}),
    ({"a": 0}, {"a": False}),
    ({"=": 1}, {"=": 2, "~": {}, "-": ["="]}),
    ([{"a": [0]}], [{"a": [False]}]),
    ("a", ["a"]),
]


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_a_patch_makes_the_new_of_the_old(old, new) -> None:
    before = json.dumps(old)
    patch = json_delta.diff(old, new)
    assert patch is not None
    # As the journal hands it back, and with types: 1 is not true.
    assert json.dumps(json_delta.apply(old, json.loads(json.dumps(patch))), sort_keys=True) == json.dumps(new, sort_keys=True)
    assert json.dumps(old) == before


@pytest.mark.parametrize("value", [None, 1, "a", [], {}, [1, {"a": [2]}], {"a": {"b": 1}}])
def test_what_did_not_change_has_no_patch(value) -> None:
    assert json_delta.diff(value, json.loads(json.dumps(value))) is None
    assert json_delta.apply(value, None) == value


def test_random_trees_survive_a_hundred_changes() -> None:
    dice = random.Random(7)

    def tree(depth: int):
        kind = dice.randrange(5) if depth else dice.randrange(3)
        if kind == 3:
            return [tree(depth - 1) for _ in range(dice.randrange(4))]
        if kind == 4:
            return {dice.choice("abcd"): tree(depth - 1) for _ in range(dice.randrange(4))}
        return [dice.randrange(3), dice.choice([True, False, None]), dice.choice("xy")][kind]

    kept = None
    for _ in range(300):
        new = tree(4)
        kept = json_delta.apply(kept, json_delta.diff(kept, new))
        assert json.dumps(kept, sort_keys=True) == json.dumps(new, sort_keys=True)


def test_what_is_added_to_a_long_list_is_all_that_a_patch_has() -> None:
    old = {"messages": [f"message {n}" for n in range(1_000)]}
    new = {"messages": [*old["messages"], "one more"]}
    assert json_delta.diff(old, new) == {"~": {"messages": {"[": [1_000, 0, ["one more"]]}}}


def test_a_patch_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit a list"):
        json_delta.apply([1], {"~": {"a": {"=": 1}}})
    with pytest.raises(ValueError, match="array of 1"):
        json_delta.apply([1], {"[": [1, 1, []]})
