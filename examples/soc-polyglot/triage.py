"""The triage agent of the flagship job, as a LangChain agent. All of its tools are the platform's."""

from langchain.agents import create_agent
from openeaap_langchain_bridge import BridgeContext, host


@host("triage", description="Triages SIEM alerts")
def triage(ctx: BridgeContext):
    return create_agent(ctx.model, ctx.tools, system_prompt=ctx.system_prompt)
