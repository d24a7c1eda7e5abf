from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, TypeVar, overload

import httpx

from openeaap.client import operations as api
from openeaap.client.connection import load_connection
from openeaap.client.errors import OpenEAAPError
from openeaap.client.exchange import (
    DEFAULT_TIMEOUT_S,
    RESPONSE_BYTES_MAX,
    headers_of,
    is_event_stream,
    parse_error,
    read_answer,
    too_large,
    unreachable,
    url_of,
    wait_before_try,
)
from openeaap.client.operations import Operation
from openeaap.client.run_watch import STREAM_IDLE_S, RunWatch
from openeaap.client.views import (
    AgentVersion,
    Approval,
    Feedback,
    Page,
    PluginView,
    Run,
    RunCreated,
    RunEvent,
    Steps,
    ToolView,
)

T = TypeVar("T")
_FIRST_LOOK_S = 0.1
_LONGEST_LOOK_S = 2.0


class AsyncClient:
    """The REST API of a platform.

    Address and key: the arguments, else OPENEAAP_URL and OPENEAAP_API_KEY, else the
    ``connection.json`` that a server on this machine leaves in its state folder (``data_dir``,
    OPENEAAP_DATA_DIR, ``./.openeaap``). Raises subclasses of OpenEAAPError; those of ApiError
    have the platform's ``code``, ``field`` and ``cure``. For one event loop.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        data_dir: str | os.PathLike[str] | None = None,
        timeout: float = DEFAULT_TIMEOUT_S,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.connection = load_connection(url, api_key, data_dir)
        self._timeout = timeout
        self._http = httpx.AsyncClient(headers=headers_of(self.connection), timeout=timeout, transport=transport, follow_redirects=False)
        self.runs = AsyncRuns(self)
        self.approvals = AsyncApprovals(self)
        self.agents = AsyncAgents(self)
        self.tools = AsyncTools(self)
        self.plugins = AsyncPlugins(self)

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def send(self, operation: Operation[T]) -> T:
        """One call of the API; what may be sent twice is tried again when no answer comes."""
        for tried in range(1, 1_000):
            try:
                return await self._exchange(operation)
            except OpenEAAPError as error:
                wait = wait_before_try(error, tried, operation)
                if wait is None:
                    raise
            await asyncio.sleep(wait)
        raise AssertionError("wait_before_try ends it")

    async def _exchange(self, operation: Operation[T]) -> T:
        headers = {} if operation.body is None else {"content-type": "application/json"}
        try:
            async with self._http.stream(operation.method, url_of(self.connection, operation.path), params=dict(operation.query), content=operation.body, headers=headers) as response:
                content = await _read(response)
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise unreachable(self.connection, error) from error
        return read_answer(operation, response, content)

    async def _watch(self, watch: RunWatch) -> AsyncIterator[RunEvent]:
        while not watch.ended:
            lost: OpenEAAPError | None = None
            try:
                async with self._http.stream("GET", url_of(self.connection, watch.path), headers=watch.open(), timeout=httpx.Timeout(self._timeout, read=STREAM_IDLE_S)) as response:
                    if response.status_code == httpx.codes.NO_CONTENT:
                        return
                    if not response.is_success or not is_event_stream(response):
                        raise parse_error(response, await _read(response))
                    async for text in response.aiter_text():
                        for event in watch.feed(text):
                            yield event
                        if watch.ended:
                            return
            except (httpx.HTTPError, httpx.StreamError) as error:
                lost = unreachable(self.connection, error)
            except OpenEAAPError as error:
                lost = error
            await asyncio.sleep(watch.wait_after(lost))


class AsyncRunStream(AsyncIterator[RunEvent]):
    """The events of a run until it ends. ``run`` is what was accepted; leave early with close()."""

    def __init__(self, run: RunCreated, events: AsyncIterator[RunEvent]) -> None:
        self.run = run
        self.run_id = run.run_id
        self._events = events

    async def __anext__(self) -> RunEvent:
        return await self._events.__anext__()

    async def close(self) -> None:
        """Stops watching; the run goes on."""
        close: Callable[[], Awaitable[None]] | None = getattr(self._events, "aclose", None)
        if close is not None:
            await close()

    async def __aenter__(self) -> AsyncRunStream:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()


class AsyncRuns:
    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    @overload
    async def create(self, agent: str, input: str | Mapping[str, Any], *, stream: Literal[False] = False, idempotency_key: str | None = None, user_id: str | None = None, priority: str | None = None, start_at: datetime | None = None, delay_s: int | None = None) -> RunCreated: ...

    @overload
    async def create(self, agent: str, input: str | Mapping[str, Any], *, stream: Literal[True], idempotency_key: str | None = None, user_id: str | None = None, priority: str | None = None, start_at: datetime | None = None, delay_s: int | None = None) -> AsyncRunStream: ...

    async def create(self, agent: str, input: str | Mapping[str, Any], *, stream: bool = False, idempotency_key: str | None = None, user_id: str | None = None, priority: str | None = None, start_at: datetime | None = None, delay_s: int | None = None) -> RunCreated | AsyncRunStream:
        """Starts a run of an agent: its name, name@version, or id.

        The same idempotency_key with the same request is the same run. One is made if none is
        given, so that a request whose answer was lost starts no second run when it is repeated.
        With ``stream`` the events of the run are iterated until it ends, over as many connections
        as it takes.
        """
        run = await self._client.send(
            api.create_run(agent, input, idempotency_key=idempotency_key or str(uuid.uuid4()), user_id=user_id, priority=priority, start_at=start_at, delay_s=delay_s)
        )
        return AsyncRunStream(run, self.stream(run.run_id)) if stream else run

    async def get(self, run_id: str) -> Run:
        return await self._client.send(api.get_run(run_id))

    async def list(self, *, status: str | None = None, agent_id: str | None = None, user_id: str | None = None, source: str | None = None, limit: int | None = None, cursor: str | None = None) -> Page[Run]:
        """One page, newest first; ``cursor`` is next_cursor of the page before."""
        return await self._client.send(api.list_runs(status, agent_id, user_id, source, limit, cursor))

    def iterate(self, *, status: str | None = None, agent_id: str | None = None, user_id: str | None = None, source: str | None = None) -> AsyncIterator[Run]:
        """All of them, newest first, page by page."""
        return _pages(lambda cursor: self.list(status=status, agent_id=agent_id, user_id=user_id, source=source, limit=api.PAGE_ITEMS_MAX, cursor=cursor))

    async def steps(self, run_id: str) -> Steps:
        return await self._client.send(api.list_steps(run_id))

    async def events(self, run_id: str, *, after: int = 0) -> AsyncIterator[RunEvent]:
        """The events that are stored by now, with their times."""
        while True:
            items = await self._client.send(api.list_events(run_id, after))
            for item in items:
                yield item
            if len(items) < api.PAGE_ITEMS_MAX or items[-1].seq is None:
                return
            after = items[-1].seq

    def stream(self, run_id: str, *, after: int = 0) -> AsyncIterator[RunEvent]:
        """All events after that number, stored and live, until the run ends."""
        return self._client._watch(RunWatch(run_id, after, time.monotonic))

    async def wait(self, run_id: str, *, timeout: float | None = None, or_paused: bool = False) -> Run:
        """The run once it has ended, or, with ``or_paused``, waits for a person.

        Raises TimeoutError after ``timeout`` seconds; the run goes on.
        """
        give_up = None if timeout is None else time.monotonic() + timeout
        pause = _FIRST_LOOK_S
        while True:
            run = await self.get(run_id)
            if run.ended or (or_paused and run.status == "paused"):
                return run
            left = pause if give_up is None else give_up - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"Run {run_id} is still {run.status} after {timeout} s.")
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 1.5, _LONGEST_LOOK_S)

    async def cancel(self, run_id: str, *, reason: str | None = None) -> Run:
        """Takes effect before the next think or call; wait() tells when it has."""
        return await self._client.send(api.cancel_run(run_id, reason))

    async def retry(self, run_id: str) -> RunCreated:
        """A new run with the same input."""
        return await self._client.send(api.retry_run(run_id))

    async def feedback(self, run_id: str, score: Literal[-1, 1], *, correction: str | None = None, category: str | None = None) -> Feedback:
        """1: good; -1: bad. A correction becomes a preference pair."""
        return await self._client.send(api.give_feedback(run_id, score, correction, category))


class AsyncApprovals:
    """Deciding with an Approval that you got decides about the call that you saw: if it was edited
    since, HashMismatch. Deciding with an id alone decides about whatever waits now."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def list(self, *, status: str | None = None, run_id: str | None = None, limit: int | None = None, cursor: str | None = None) -> Page[Approval]:
        return await self._client.send(api.list_approvals(status, run_id, limit, cursor))

    def iterate(self, *, status: str | None = None, run_id: str | None = None) -> AsyncIterator[Approval]:
        return _pages(lambda cursor: self.list(status=status, run_id=run_id, limit=api.PAGE_ITEMS_MAX, cursor=cursor))

    async def get(self, approval_id: str) -> Approval:
        return await self._client.send(api.get_approval(approval_id))

    async def approve(self, approval: Approval | str, *, call_hash: str | None = None, comment: str | None = None) -> Approval:
        return await self._decide(approval, "approve", call_hash=call_hash, comment=comment)

    async def edit(self, approval: Approval | str, args: Mapping[str, Any], *, call_hash: str | None = None, comment: str | None = None) -> Approval:
        """Approves the call with other arguments."""
        return await self._decide(approval, "edit", call_hash=call_hash, args=args, comment=comment)

    async def reject(self, approval: Approval | str, comment: str, *, call_hash: str | None = None) -> Approval:
        return await self._decide(approval, "reject", call_hash=call_hash, comment=comment)

    async def resolve(self, approval: Approval | str, verdict: Literal["retry", "mark_done", "fail"], *, call_hash: str | None = None, comment: str | None = None) -> Approval:
        """Says what became of a call whose outcome is unknown (``kind`` uncertain)."""
        return await self._decide(approval, verdict, call_hash=call_hash, comment=comment)

    async def _decide(self, approval: Approval | str, verdict: str, *, call_hash: str | None = None, args: Mapping[str, Any] | None = None, comment: str | None = None) -> Approval:
        return await self._client.send(api.decide_approval(approval, verdict, call_hash=call_hash, args=args, comment=comment))


class AsyncAgents:
    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def list(self, *, name: str | None = None, status: str | None = None, limit: int | None = None, cursor: str | None = None) -> Page[AgentVersion]:
        return await self._client.send(api.list_agents(name, status, limit, cursor))

    def iterate(self, *, name: str | None = None, status: str | None = None) -> AsyncIterator[AgentVersion]:
        return _pages(lambda cursor: self.list(name=name, status=status, limit=api.PAGE_ITEMS_MAX, cursor=cursor))

    async def create(self, name: str, version: str, configuration: Mapping[str, Any] | None = None) -> AgentVersion:
        """A draft. A version never changes: the same again is the same, another one a Conflict."""
        return await self._client.send(api.create_agent(name, version, configuration or {}))

    async def get(self, agent: str) -> AgentVersion:
        """By id, by name (its current version), or by name@version."""
        return await self._client.send(api.get_agent(agent))

    async def publish(self, agent: AgentVersion | str) -> AgentVersion:
        """What the bare name means from now on."""
        return await self._client.send(api.publish_agent(_agent_id(agent)))

    async def deprecate(self, agent: AgentVersion | str) -> AgentVersion:
        return await self._client.send(api.deprecate_agent(_agent_id(agent)))


class AsyncTools:
    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def list(self) -> list[ToolView]:
        return await self._client.send(api.list_tools())


class AsyncPlugins:
    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def list(self) -> list[PluginView]:
        return await self._client.send(api.list_plugins())

    async def get(self, name: str) -> PluginView:
        return await self._client.send(api.get_plugin(name))

    async def declare(self, name: str, *, type: Literal["runtime-worker", "mcp"] = "runtime-worker", address: str | None = None, image: str | None = None, url: str | None = None, secrets: Sequence[str] | None = None, **more: Any) -> PluginView:
        """Has every node connect to it: ``declare("soc-tools", address="127.0.0.1:50051")``.

        The words are those of configs/plugins.yaml. ``secrets`` are all that its tools may be
        given, whatever they ask for. wait_ready() tells when it can be used.
        """
        declaration = {"address": address, "image": image, "url": url, "secrets": secrets, **more}
        return await self._client.send(api.declare_plugin(name, type, declaration))

    async def wait_ready(self, name: str, *, timeout: float = 30.0) -> PluginView:
        """Raises TimeoutError, with what the platform says is wrong."""
        give_up = time.monotonic() + timeout
        while True:
            plugin = await self.get(name)
            if plugin.status == "ready":
                return plugin
            if time.monotonic() >= give_up:
                raise TimeoutError(f"Plugin {name} is {plugin.status} after {timeout} s: {plugin.detail}")
            await asyncio.sleep(_FIRST_LOOK_S)

    async def remove(self, name: str) -> None:
        """Its tools are gone at once; steps under way get 30 s."""
        await self._client.send(api.remove_plugin(name))

    async def restart(self, name: str) -> PluginView:
        return await self._client.send(api.restart_plugin(name))

    async def accept_tools(self, name: str, tools: Sequence[str] | None = None) -> PluginView:
        """Accepts tools of an MCP server whose description or schema has changed; all, if none are named."""
        return await self._client.send(api.accept_plugin_tools(name, tools))


def _agent_id(agent: AgentVersion | str) -> str:
    return agent if isinstance(agent, str) else agent.agent_id


async def _pages(page: Callable[[str | None], Awaitable[Page[T]]]) -> AsyncIterator[T]:
    cursor: str | None = None
    while True:
        got = await page(cursor)
        for item in got.items:
            yield item
        if got.next_cursor is None or got.next_cursor == cursor:
            return
        cursor = got.next_cursor


async def _read(response: httpx.Response) -> bytes:
    content = bytearray()
    async for piece in response.aiter_bytes():
        content += piece
        if len(content) > RESPONSE_BYTES_MAX:
            raise too_large()
    return bytes(content)
