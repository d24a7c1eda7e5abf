"""What is served: an agent of LlamaIndex, and an index of LlamaIndex as a tool."""

from pathlib import Path

from openeaap.sdk import Worker
from researcher import researcher
from search_runbooks import make_search_runbooks

worker = Worker(
    name="llamaindex",
    version="0.1.0",
    agents=[researcher],
    tools=[make_search_runbooks(Path(__file__).parent / "runbooks")],
)
