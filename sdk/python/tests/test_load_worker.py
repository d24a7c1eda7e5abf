"""What openeaap-worker takes, and what it says of anything else."""

import sys
from pathlib import Path

import pytest
from harness.worker_process import run_worker

from openeaap.plugin.load_worker import TargetError, load_worker
from openeaap.sdk import Worker

MODULE = """
from openeaap.sdk import Agent, Proposal, Worker, tool

@tool
def first() -> int:
    "First."
    return 1

@tool
def second() -> int:
    "Second."
    return 2

again = first
thinks = Agent("thinks", lambda request, ctx: Proposal.finish(1))
some = [second, thinks]
none = []
mixed = [first, len]
def bare(): ...
number = 3
class group:
    inner = first
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "lw_tools.py").write_text(MODULE)
    (tmp_path / "lw_worker.py").write_text(MODULE + "worker = Worker(tools=[second], name='own', max_concurrent_steps=2)\n")
    (tmp_path / "lw_two.py").write_text(MODULE + "a = Worker(tools=[first])\nb = Worker(tools=[second])\n")
    (tmp_path / "lw_empty.py").write_text("x = 1\n")
    (tmp_path / "lw_broken.py").write_text("import lw_not_there\n")
    package = tmp_path / "lw_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "inner.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.startswith("lw_")]:
        del sys.modules[name]
    return tmp_path


def names(worker: Worker) -> list[str]:
    return [thing.name for thing in (*worker.tools, *worker.agents)]


@pytest.mark.parametrize(
    ("target", "expected", "name"),
    [
        ("lw_tools", ["first", "second", "thinks"], "lw_tools"),
        ("lw_tools:first", ["first"], "lw_tools"),
        ("lw_tools:thinks", ["thinks"], "lw_tools"),
        ("lw_tools:some", ["second", "thinks"], "lw_tools"),
        ("lw_tools:group.inner", ["first"], "lw_tools"),
        ("lw_worker", ["second"], "own"),
        ("lw_two:b", ["second"], "lw_two"),
        ("lw_package.inner", ["first", "second", "thinks"], "inner"),
    ],
)
def test_a_target_is_a_module_or_a_thing_in_it(target: str, expected: list[str], name: str) -> None:
    worker = load_worker(target)
    assert (names(worker), worker.name) == (expected, name)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("lw_nowhere", ["no module 'lw_nowhere'", "Looked in", "lw_nowhere.py"]),
        ("lw_package.nowhere", ["no module 'lw_package.nowhere'"]),
        ("lw_nowhere.inner", ["no module 'lw_nowhere'"]),
        ("lw_tools:nothing", ["no 'nothing' in lw_tools", "first", "some", "thinks"]),
        ("lw_empty", ["no tool and no agent", "@tool", "lw_empty.py"]),
        ("lw_empty:x", ["is a int", "@tool"]),
        ("lw_tools:bare", ["is a function", "Is @tool missing above it?"]),
        ("lw_tools:none", ["is empty"]),
        ("lw_tools:mixed", ["built-in function len", "neither"]),
        ("lw_two", ["several workers", "lw_two:a or lw_two:b"]),
        ("lw_tools.py", ["is a file", "like lw_tools."]),
        ("", ["is no target"]),
        ("lw_tools:", ["is no target"]),
        (":first", ["is no target"]),
    ],
)
def test_anything_else_says_what_was_looked_for_and_what_would_count(target: str, said: list[str]) -> None:
    with pytest.raises(TargetError) as refused:
        load_worker(target)
    for part in said:
        assert part in str(refused.value)


def test_what_the_module_itself_raises_is_shown_as_it_is() -> None:
    with pytest.raises(ModuleNotFoundError, match="lw_not_there"):
        load_worker("lw_broken")


def test_the_program_ends_with_2_and_no_stack_for_a_wrong_target(folder: Path) -> None:
    ended = run_worker("lw_nowhere", cwd=folder)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("openeaap-worker: There is no module 'lw_nowhere'") and "Traceback" not in ended.stderr
