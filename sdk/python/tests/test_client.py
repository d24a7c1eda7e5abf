"""The client against the real server and its demo."""

import asyncio
import inspect
import json
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from harness.platform import Platform

from openeaap import (
    ActStep,
    AlreadyDecided,
    ApiError,
    AsyncClient,
    Client,
    Conflict,
    HashMismatch,
    IdempotencyMismatch,
    InvalidInput,
    NotFound,
    RunNotCompleted,
    ThinkStep,
    Unauthenticated,
)
from openeaap.client import async_client, client as sync_client

HARMLESS = {"alert_id": "a-1", "source_ip": "203.0.113.50"}
BAD = {"alert_id": "a-2", "source_ip": "1.2.3.4"}


@pytest.fixture(scope="module")
def client(platform: Platform) -> Iterator[Client]:
    with Client(data_dir=platform.data_dir) as made:
        yield made


def paused(client: Client) -> Any:
    """A run that waits for a person, and what it waits with."""
    run = client.runs.wait(client.runs.create("security-triage", BAD).run_id, timeout=30, or_paused=True)
    assert run.status == "paused"
    return run, client.approvals.get(run.pending_approvals[0])


def test_a_run_is_streamed_to_its_end_and_a_person_edits_its_call(client: Client) -> None:
    events = []
    with client.runs.create("security-triage", BAD, stream=True) as stream:
        for event in stream:
            events.append(event)
            if event.type == "run_paused":
                (approval,) = client.approvals.iterate(status="pending", run_id=stream.run_id)
                assert (approval.tool, approval.args["ip"], approval.kind) == ("firewall_block_ip", "1.2.3.4", "gate")
                decided = client.approvals.edit(approval, {**approval.args, "reason": "edited"}, comment="shorter")
                assert (decided.status, decided.verdict, decided.edited_args["reason"]) == ("approved", "edit", "edited")
    numbered = [event.seq for event in events if event.seq is not None]
    assert numbered == list(range(1, len(numbered) + 1))
    assert (events[0].type, events[-1].type, events[-1].final) == ("run_created", "run_completed", True)
    assert any(event.type == "step_delta" and event.data["text"] for event in events)
    run = client.runs.get(stream.run_id)
    assert run.ended and run.result() == run.output and "1.2.3.4" in run.output
    assert isinstance(run.created_at, datetime) and run.usage.prompt_tokens > 0 and run.lineage[0].chunk_id
    steps = client.runs.steps(run.run_id)
    assert {type(step) for step in steps} == {ThinkStep, ActStep} and [step.no for step in steps] == list(range(1, len(steps) + 1))
    assert [step.result["status"] for step in steps if isinstance(step, ActStep) and step.tool == "firewall_block_ip"] == ["blocked"]
    stored = list(client.runs.events(run.run_id))
    assert [event.seq for event in stored] == numbered and all(event.at is not None for event in stored)
    assert [event.seq for event in client.runs.stream(run.run_id, after=numbered[-3])] == numbered[-2:]
    assert list(client.runs.stream(run.run_id, after=run.last_seq)) == []
    assert client.runs.feedback(run.run_id, -1, correction="Observe first.", category="caution").preference_pair_id


def test_a_rejection_is_told_to_the_agent(client: Client) -> None:
    run, approval = paused(client)
    with pytest.raises(InvalidInput) as nothing_said:
        client.approvals.reject(approval, "")
    assert nothing_said.value.field == "comment"
    assert client.approvals.reject(approval, "Our own gateway.").status == "rejected"
    with pytest.raises(AlreadyDecided) as late:
        client.approvals.approve(approval)
    assert (late.value.status, late.value.details["decided_by"]) == (409, "admin")
    assert client.runs.wait(run.run_id, timeout=30).status == "completed"


def test_a_decision_is_about_the_call_that_was_seen(client: Client) -> None:
    run, approval = paused(client)
    seen = approval.model_copy(update={"call_hash": "0" * 64})
    with pytest.raises(HashMismatch) as other:
        client.approvals.approve(seen)
    assert other.value.cure is not None and "again" in str(other.value)
    assert client.approvals.approve(approval.approval_id).status == "approved"
    assert client.runs.wait(run.run_id, timeout=30).status == "completed"


def test_a_cancelled_run_has_no_result(client: Client) -> None:
    run, _ = paused(client)
    client.runs.cancel(run.run_id, reason="duplicate")
    ended = client.runs.wait(run.run_id, timeout=30)
    assert ended.status == "cancelled"
    with pytest.raises(RunNotCompleted) as none:
        ended.result()
    assert none.value.code == "cancelled"
    with pytest.raises(Conflict):
        client.runs.cancel(client.runs.wait(client.runs.create("security-triage", HARMLESS).run_id, timeout=30).run_id)


def test_the_same_key_is_the_same_run_and_without_one_each_is_its_own(client: Client) -> None:
    key = str(uuid.uuid4())
    start_at = datetime.now(timezone.utc) + timedelta(days=1)
    first = client.runs.create("security-triage", HARMLESS, idempotency_key=key, start_at=start_at)
    again = client.runs.create("security-triage", HARMLESS, idempotency_key=key, start_at=start_at)
    assert (again.run_id, first.replayed, again.replayed, first.status) == (first.run_id, False, True, "pending")
    assert first.start_at is not None and abs(first.start_at - start_at) < timedelta(milliseconds=2)
    with pytest.raises(IdempotencyMismatch) as other:
        client.runs.create("security-triage", BAD, idempotency_key=key)
    assert other.value.cure is not None and "idempotency_key" in other.value.cure
    runs = [client.runs.create("security-triage", "text", delay_s=3600) for _ in range(2)]
    assert len({run.run_id for run in runs}) == 2
    with pytest.raises(TimeoutError, match="still pending after 0.05 s"):
        client.runs.wait(runs[0].run_id, timeout=0.05)
    for run in (first, *runs):
        client.runs.cancel(run.run_id)


def test_lists_come_in_pages(client: Client) -> None:
    for _ in range(3):
        run = client.runs.cancel(client.runs.create("security-triage", HARMLESS, delay_s=3600).run_id)
        assert client.runs.wait(run.run_id, timeout=30).status == "cancelled"
    first = client.runs.list(status="cancelled", limit=2)
    assert len(first.items) == 2 and first.next_cursor is not None
    second = client.runs.list(status="cancelled", limit=2, cursor=first.next_cursor)
    ids = [run.run_id for run in (*first.items, *second.items)]
    assert len(set(ids)) == len(ids)
    assert [run.run_id for run in client.runs.iterate(status="cancelled")][: len(ids)] == ids


def test_an_agent_is_made_published_and_found_by_name(client: Client) -> None:
    made = client.agents.create("sdk-agent", "1.0.0", {"system_prompt": "You are.", "tools": ["calculator"], "settings": {"a": 1}})
    assert (made.status, made.configuration.tools, made.configuration.settings, made.current) == ("draft", ["calculator"], {"a": 1}, False)
    assert client.agents.create("sdk-agent", "1.0.0", {"system_prompt": "You are.", "tools": ["calculator"], "settings": {"a": 1}}).agent_id == made.agent_id
    with pytest.raises(Conflict):
        client.agents.create("sdk-agent", "1.0.0", {"system_prompt": "You are not."})
    assert client.agents.publish(made).current
    assert client.agents.get("sdk-agent").agent_id == client.agents.get("sdk-agent@1.0.0").agent_id == made.agent_id
    assert [agent.name for agent in client.agents.iterate(name="sdk-agent", status="published")] == ["sdk-agent"]
    assert client.agents.deprecate(made).status == "deprecated"


def test_tools_and_plugins_are_listed(client: Client) -> None:
    assert {tool.name: tool.effect for tool in client.tools.list()}["calculator"] == "read"
    assert {plugin.name: plugin.status for plugin in client.plugins.list()}["native"] == "ready"


def test_errors_are_classes_by_code_with_field_and_cure(client: Client, platform: Platform) -> None:
    with pytest.raises(NotFound) as missing:
        client.runs.create("nobody", HARMLESS)
    assert (missing.value.code, missing.value.status, missing.value.field) == ("not_found", 404, "agent_id")
    with pytest.raises(InvalidInput) as wrong:
        client.agents.create("no spaces", "1")
    assert wrong.value.field == "name" and wrong.value.cure is not None and wrong.value.trace_id
    with Client(platform.url, "oea_wrong") as stranger, pytest.raises(Unauthenticated) as unknown:
        stranger.runs.list()
    assert isinstance(unknown.value, ApiError) and "oea_wrong" not in str(unknown.value)
    for bad in ("", ".."):
        with pytest.raises(ValueError, match="not an id or a name"):
            client.runs.get(bad)
    with pytest.raises(ValueError, match="no time zone"):
        client.runs.create("security-triage", HARMLESS, start_at=datetime(2027, 1, 1))


def test_the_async_client_does_the_same(platform: Platform) -> None:
    async def all_of_it() -> None:
        async with AsyncClient(platform.url, platform.api_key) as client:
            seqs = []
            async with await client.runs.create("security-triage", BAD, stream=True) as stream:
                async for event in stream:
                    seqs.append(event.seq)
                    if event.type == "run_paused":
                        waiting = [approval async for approval in client.approvals.iterate(status="pending", run_id=stream.run_id)]
                        await client.approvals.approve(waiting[0])
            numbered = [seq for seq in seqs if seq is not None]
            assert numbered == list(range(1, len(numbered) + 1))
            run = await client.runs.wait(stream.run_id, timeout=10)
            assert run.status == "completed"
            assert [event.seq async for event in client.runs.events(run.run_id)] == numbered
            assert [event async for event in client.runs.stream(run.run_id, after=run.last_seq)] == []
            runs = await asyncio.gather(*(client.runs.create("security-triage", HARMLESS) for _ in range(5)))
            ended = await asyncio.gather(*(client.runs.wait(run.run_id, timeout=30) for run in runs))
            assert {run.status for run in ended} == {"completed"}
            assert (await client.agents.get("security-triage")).current
            with pytest.raises(NotFound):
                await client.runs.create("nobody", "x")

    asyncio.run(all_of_it())


def test_both_clients_offer_the_same() -> None:
    def surface(module: Any, prefix: str) -> dict[str, Any]:
        names = ("Client", "Runs", "Approvals", "Agents", "Tools", "Plugins", "RunStream")
        found: dict[str, Any] = {}
        for name in names:
            for method, function in vars(getattr(module, prefix + name)).items():
                if inspect.isfunction(function) and not method.startswith("_"):
                    found[f"{name}.{method}"] = [(p.name, str(p.default)) for p in inspect.signature(function).parameters.values()]
        return found

    assert surface(sync_client, "") == surface(async_client, "Async")
    assert json.dumps(surface(sync_client, "")) != "{}"
