from pathlib import Path

import pytest

from openeaap.sdk import ToolError
from search_runbooks import make_search_runbooks


def test_a_section_is_found_by_its_words_and_by_the_heading_above_it(tmp_path: Path) -> None:
    (tmp_path / "vpn.md").write_text("# Tunnel down\n\n## Branch office\n\nRestart the appliance.\n\n## Laptop\n\nRenew the profile.\n")
    (tmp_path / "mail.md").write_text("# Mail bounces\n\n## Spam filter\n\nRelease the message from quarantine.\n")
    search = make_search_runbooks(tmp_path)
    found = search("release from quarantine")
    assert found.output["sections"][0]["runbook"] == "mail.md"
    assert found.lineage[0].chunk_id == "mail.md#Spam filter"
    tunnel = search("the tunnel is down")
    assert {piece.chunk_id for piece in tunnel.lineage} == {"vpn.md#Branch office", "vpn.md#Laptop"}
    assert search("zebra").output == {"sections": []}
    with pytest.raises(ToolError, match="query: is empty"):
        search("  ")


def test_what_is_offered_says_that_it_only_reads() -> None:
    search = make_search_runbooks(Path(__file__).parents[1] / "runbooks")
    assert (search.effect, search.input_schema["required"]) == ("read", ["query"])
