from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from llama_index.core import SimpleDirectoryReader
from llama_index.core.node_parser import MarkdownNodeParser
from llama_index.core.schema import NodeWithScore
from llama_index.retrievers.bm25 import BM25Retriever
from openeaap.sdk import Lineage, Tool, ToolError, ToolResult, tool
from pydantic import Field

SECTIONS = 3
"""Most sections in an answer."""


def make_search_runbooks(folder: Path) -> Tool:
    """The Markdown files of a folder, indexed by section with BM25: nothing is downloaded, and no embedding is asked for."""
    documents = SimpleDirectoryReader(folder, required_exts=[".md"]).load_data()
    # A heading alone says nothing to do; it is in the metadata of its sections, which are searched as well.
    nodes = [node for node in MarkdownNodeParser().get_nodes_from_documents(documents) if len(node.get_content().splitlines()) > 1]
    retriever = BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=min(SECTIONS, len(nodes)))

    @tool(effect="read")
    def search_runbooks(query: Annotated[str, Field(max_length=1_000)]) -> ToolResult:
        """Searches the runbooks of the operations team for what to do about a symptom.

        Args:
            query: The symptom in a few words, e.g. "disk full on a database server".
        """
        if not query.strip():
            raise ToolError("query: is empty. Say what to look for.")
        found = [hit for hit in retriever.retrieve(query) if (hit.score or 0.0) > 0.0]
        return ToolResult({"sections": [_to_section(hit) for hit in found]}, lineage=[_to_lineage(hit) for hit in found])

    return search_runbooks


def _to_section(hit: NodeWithScore) -> dict[str, Any]:
    return {"runbook": hit.metadata["file_name"], "text": hit.get_content(), "score": round(hit.score or 0.0, 3)}


def _to_lineage(hit: NodeWithScore) -> Lineage:
    source, heading = hit.metadata["file_name"], hit.get_content().splitlines()[0].lstrip("# ")
    return Lineage(chunk_id=f"{source}#{heading}", title=heading, source=source, score=hit.score or 0.0)
