"""Each call of the API as data: what is sent and how the answer is read. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Generic, TypeVar, Union
from urllib.parse import quote

from pydantic import TypeAdapter

from openeaap.client.views import (
    AgentVersion,
    Approval,
    Feedback,
    Page,
    PluginView,
    Run,
    RunCreated,
    RunEvent,
    Step,
    ToolView,
)
from openeaap.plugin.json_text import to_json_text

T = TypeVar("T")
PAGE_ITEMS_MAX = 200


@dataclass(frozen=True)
class Operation(Generic[T]):
    method: str
    path: str
    read: Callable[[Any], T]
    query: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    """JSON text."""
    repeatable: bool = False
    """A second one does nothing that the first did not: it may be sent again when no answer came."""


def create_run(agent: str, input: str | Mapping[str, Any] | Any, *, idempotency_key: str, user_id: str | None, priority: str | None, start_at: datetime | None, delay_s: int | None) -> Operation[RunCreated]:
    body = _given(
        input=input,
        idempotency_key=idempotency_key,
        user_id=user_id,
        priority=priority,
        start_at=None if start_at is None else _rfc3339(start_at),
        delay_s=delay_s,
    )
    return _post(route("agents", agent, "runs"), RunCreated.model_validate, body, repeatable=True)


def get_run(run_id: str) -> Operation[Run]:
    return _get(route("runs", run_id), Run.model_validate)


def list_runs(status: str | None, agent_id: str | None, user_id: str | None, source: str | None, limit: int | None, cursor: str | None) -> Operation[Page[Run]]:
    return _get(route("runs"), Page[Run].model_validate, status=status, agent_id=agent_id, user_id=user_id, source=source, limit=limit, cursor=cursor)


def list_steps(run_id: str) -> Operation[list[Step]]:
    return _get(route("runs", run_id, "steps"), lambda body: _STEPS.validate_python(body["items"]))


def list_events(run_id: str, after: int, limit: int = PAGE_ITEMS_MAX) -> Operation[list[RunEvent]]:
    return _get(route("runs", run_id, "events"), lambda body: _EVENTS.validate_python(body["items"]), after=after, limit=limit)


def cancel_run(run_id: str, reason: str | None) -> Operation[Run]:
    return _post(route("runs", run_id, "cancel"), Run.model_validate, _given(reason=reason), repeatable=True)


def retry_run(run_id: str) -> Operation[RunCreated]:
    return _post(route("runs", run_id, "retry"), RunCreated.model_validate, {})


def give_feedback(run_id: str, score: int, correction: str | None, category: str | None) -> Operation[Feedback]:
    return _post(route("runs", run_id, "feedback"), Feedback.model_validate, _given(score=score, correction=correction, category=category))


def list_approvals(status: str | None, run_id: str | None, limit: int | None, cursor: str | None) -> Operation[Page[Approval]]:
    return _get(route("approvals"), Page[Approval].model_validate, status=status, run_id=run_id, limit=limit, cursor=cursor)


def get_approval(approval_id: str) -> Operation[Approval]:
    return _get(route("approvals", approval_id), Approval.model_validate)


def decide_approval(approval: Approval | str, verdict: str, *, call_hash: str | None, args: Mapping[str, Any] | None, comment: str | None) -> Operation[Approval]:
    seen = approval.call_hash if isinstance(approval, Approval) else None
    body = _given(verdict=verdict, call_hash=call_hash or seen, args=args, comment=comment)
    approval_id = approval if isinstance(approval, str) else approval.approval_id
    return _post(route("approvals", approval_id, "decide"), Approval.model_validate, body)


def list_agents(name: str | None, status: str | None, limit: int | None, cursor: str | None) -> Operation[Page[AgentVersion]]:
    return _get(route("agents"), Page[AgentVersion].model_validate, name=name, status=status, limit=limit, cursor=cursor)


def create_agent(name: str, version: str, configuration: Mapping[str, Any]) -> Operation[AgentVersion]:
    body = {"name": name, "version": version, "configuration": configuration}
    return _post(route("agents"), AgentVersion.model_validate, body, repeatable=True)


def get_agent(agent: str) -> Operation[AgentVersion]:
    return _get(route("agents", agent), AgentVersion.model_validate)


def publish_agent(agent: str) -> Operation[AgentVersion]:
    return _post(route("agents", agent, "publish"), AgentVersion.model_validate, {}, repeatable=True)


def deprecate_agent(agent: str) -> Operation[AgentVersion]:
    return _post(route("agents", agent, "deprecate"), AgentVersion.model_validate, {}, repeatable=True)


def list_tools() -> Operation[list[ToolView]]:
    return _get(route("tools"), lambda body: _TOOLS.validate_python(body["items"]))


def list_plugins() -> Operation[list[PluginView]]:
    return _get(route("plugins"), lambda body: _PLUGINS.validate_python(body["items"]))


def get_plugin(name: str) -> Operation[PluginView]:
    return _get(route("plugins", name), PluginView.model_validate)


def declare_plugin(name: str, type: str, declaration: Mapping[str, Any]) -> Operation[PluginView]:
    return _post(route("plugins"), PluginView.model_validate, {"name": name, "type": type, **_given(**declaration)}, repeatable=True)


def remove_plugin(name: str) -> Operation[None]:
    return Operation("DELETE", route("plugins", name), lambda _: None)


def restart_plugin(name: str) -> Operation[PluginView]:
    return _post(route("plugins", name, "restart"), PluginView.model_validate, {})


def accept_plugin_tools(name: str, tools: Sequence[str] | None) -> Operation[PluginView]:
    return _post(route("plugins", name, "accept"), PluginView.model_validate, _given(tools=tools), repeatable=True)


def route(*segments: str) -> str:
    """A path from its segments, each encoded."""
    for segment in segments:
        # An empty or dot segment would name another resource than the one meant.
        if not isinstance(segment, str) or segment in ("", ".", ".."):
            raise ValueError(f"{segment!r} is not an id or a name.")
    return "/api/v1/" + "/".join(quote(segment, safe="") for segment in segments)


_STEPS: TypeAdapter[list[Step]] = TypeAdapter(list[Union[Step]])
_EVENTS: TypeAdapter[list[RunEvent]] = TypeAdapter(list[RunEvent])
_TOOLS: TypeAdapter[list[ToolView]] = TypeAdapter(list[ToolView])
_PLUGINS: TypeAdapter[list[PluginView]] = TypeAdapter(list[PluginView])


def _get(path: str, read: Callable[[Any], T], **query: Any) -> Operation[T]:
    return Operation("GET", path, read, query={name: str(value) for name, value in query.items() if value is not None}, repeatable=True)


def _post(path: str, read: Callable[[Any], T], body: Mapping[str, Any], repeatable: bool = False) -> Operation[T]:
    return Operation("POST", path, read, body=to_json_text(body), repeatable=repeatable)


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _rfc3339(at: datetime) -> str:
    if at.tzinfo is None:
        raise ValueError(f"start_at {at.isoformat()} has no time zone: use datetime.now(timezone.utc) + ...")
    return at.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
