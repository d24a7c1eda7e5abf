import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent


def test_the_package_and_what_an_author_writes_pass_mypy_strict() -> None:
    checked = subprocess.run([sys.executable, "-m", "mypy"], cwd=PACKAGE, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_wrong_call_of_a_tool_is_found_by_mypy(tmp_path: Path) -> None:
    """The author's types are kept: a tool is not a function of anything."""
    text = (PACKAGE / "tests/typed/author.py").read_text("utf-8") + '\ncheck_ip(ToolContext(), 3)\nfound = look_up("a", limit="x")\n'
    (tmp_path / "wrong_author.py").write_text(text, "utf-8")
    checked = subprocess.run([sys.executable, "-m", "mypy", str(tmp_path / "wrong_author.py")], cwd=PACKAGE, capture_output=True, text=True, check=False)
    assert checked.stdout.count("[arg-type]") == 2 and "Found 2 errors" in checked.stdout, checked.stdout
