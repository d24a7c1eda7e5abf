"""Threat intelligence and CMDB as tools, in Python."""

import os
from typing import Any

import httpx
from openeaap.sdk import ToolContext, ToolError, ToolUnavailable, tool
from pydantic import BaseModel, Field, IPvAnyAddress


class IPCheckInput(BaseModel):
    ip: IPvAnyAddress = Field(description="The address to look up")


@tool(
    name="check_ip_reputation",
    description="查询 IP 地址的威胁信誉分。Asks threat intelligence how dangerous an IP address is, from 0 to 100.",
    args_schema=IPCheckInput,
    effect="read",
    untrusted_output=True,
)
def check_ip_reputation(ctx: ToolContext, ip: Any) -> dict:
    api_key = ctx.secrets.get("THREAT_INTEL_KEY")
    answer = ask(f"{os.environ['THREAT_INTEL_URL']}/v1/ip/{ip}", {"x-api-key": api_key or ""})
    score = answer["risk_score"]
    return {"ip": str(ip), "score": score, "risk": "high" if score >= 80 else "medium" if score >= 40 else "low", "tags": answer.get("tags", [])}


@tool(effect="read")
def cmdb_lookup(asset: str) -> dict:
    """Says what an asset is and who owns it.

    Args:
        asset: Host name or asset tag, e.g. vpn-gw-01
    """
    return {"asset": asset, "found": True, **ask(f"{os.environ['CMDB_URL']}/v1/assets/{asset}", {})}


def ask(url: str, headers: dict) -> dict:
    try:
        response = httpx.get(url, headers=headers, timeout=5)
    except httpx.HTTPError:
        raise ToolUnavailable("the product does not answer") from None
    if response.status_code == 404:
        raise ToolError("there is no record of it")
    if response.status_code != 200:
        raise ToolUnavailable(f"the product answered with status {response.status_code}")
    return response.json()
