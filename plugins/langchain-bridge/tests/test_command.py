from __future__ import annotations

import json
from pathlib import Path

import pytest

from openeaap_langchain_bridge.load_agents import AgentsError, load_agents
from openeaap_langchain_bridge.main import main
from tests.harness.bridge_process import BridgeProcess

HOSTED = """
from openeaap_langchain_bridge import host
print("user code talks")
host("first", lambda ctx: None, description="The first.")
@host("second")
def second(ctx):
    '''The second.'''
"""


@pytest.fixture
def file(tmp_path: Path):
    def write(text: str, name: str = "my_agents.py") -> str:
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


def test_agents_are_found_without_an_attribute_and_in_one(file) -> None:
    assert [agent.name for agent in load_agents(file(HOSTED))] == ["first", "second"]
    path = file("def one(ctx): ...\nagents = {'one': one, 'two': lambda ctx: None}\n", "named.py")
    assert [agent.name for agent in load_agents(f"{path}:agents")] == ["one", "two"]
    assert [agent.description for agent in load_agents(file(HOSTED))] == ["The first.", "The second."]


def test_standard_output_is_one_line_whatever_the_users_file_prints(file) -> None:
    bridge = BridgeProcess(file(HOSTED))
    try:
        assert json.loads(bridge.line)["openeaap_plugin"] == 1
        assert [agent.name for agent in bridge.handshake().agents] == ["first", "second"]
        assert "user code talks" in bridge.stderr()
    finally:
        bridge.close()
    assert bridge.process.returncode == 0


@pytest.mark.parametrize(
    ("text", "attribute", "says"),
    [
        ("x = 1", "", 'host("name", build)'),
        ("x = 1", ":agents", "there is no 'agents' in my_agents"),
        ("agents = [1]", ":agents", "hosts no agent"),
    ],
)
def test_a_file_without_agents_says_what_would_count(file, capsys, text: str, attribute: str, says: str) -> None:
    assert main(["--agents", file(text) + attribute]) == 2
    assert says in capsys.readouterr().err


def test_what_is_not_there_is_said_with_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(AgentsError, match="There is no file .*none.py"):
        load_agents(str(tmp_path / "none.py"))
    with pytest.raises(AgentsError, match="no module 'no_such_agents'.*looked in"):
        load_agents("no_such_agents")
    with pytest.raises(AgentsError, match="names no agents"):
        load_agents(":agents")


def test_a_mistake_in_the_users_file_keeps_its_own_traceback(file) -> None:
    with pytest.raises(ModuleNotFoundError, match="not_installed_here"):
        main(["--agents", file("import not_installed_here")])
    with pytest.raises(ValueError, match="mine"):
        main(["--agents", file("raise ValueError('mine')")])


def test_host_refuses_what_is_no_build_function() -> None:
    from openeaap_langchain_bridge import host

    with pytest.raises(TypeError, match="host\\('a'\\): build is 3"):
        host("a", 3)
    with pytest.raises(TypeError, match="in_graph is 'write_todos'"):
        host("a", lambda ctx: None, in_graph="write_todos")
