"""How a client finds its server, and what it does when the way to it breaks."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from harness.scripted_server import Answer, json_answer, problem, scripted, stream_answer

from openeaap import AsyncClient, BadResponse, Client, NotConnected, QuotaExceeded, Unavailable, Unreachable
from openeaap.client.connection import load_connection
from openeaap.client.event_stream import EventStreamParser
from openeaap.client.run_watch import RunWatch

CREATED = {"run_id": "r-1", "status": "pending", "trace_id": "t", "agent_id": "a", "agent_version": "1", "start_at": None, "created_at": "2026-01-01T00:00:00.000Z", "replayed": False}
URL = "http://127.0.0.1:7080"


def written(folder: Path, url: str = URL, key: str | None = "file-key") -> Path:
    (folder / "connection.json").write_text(json.dumps({"url": url, **({} if key is None else {"api_key": key})}))
    return folder


def test_arguments_go_before_the_environment_before_the_state_folder(tmp_path: Path) -> None:
    env = {"OPENEAAP_URL": "https://env.example/base/", "OPENEAAP_API_KEY": "env-key", "OPENEAAP_DATA_DIR": str(written(tmp_path))}
    found = load_connection("http://arg.example/", "arg-key", None, env)
    assert (found.url, found.api_key) == ("http://arg.example", "arg-key")
    found = load_connection(environment=env)
    assert (found.url, found.api_key, found.source) == ("https://env.example/base", "env-key", "OPENEAAP_URL")
    found = load_connection(environment={"OPENEAAP_DATA_DIR": str(tmp_path)})
    assert (found.url, found.api_key) == (URL, "file-key")
    assert "file-key" not in repr(found)


def test_the_file_s_key_goes_only_to_the_file_s_server(tmp_path: Path) -> None:
    written(tmp_path)
    assert load_connection("http://other.example", data_dir=tmp_path, environment={}).api_key is None
    assert load_connection(f"{URL}/", data_dir=tmp_path, environment={}).api_key == "file-key"


def test_a_key_of_yours_does_not_go_to_a_stranger_that_only_the_file_names(tmp_path: Path) -> None:
    written(tmp_path, "https://stranger.example")
    with pytest.raises(NotConnected, match="your key is not sent there"):
        load_connection(api_key="mine", data_dir=tmp_path, environment={})
    assert load_connection(api_key="mine", data_dir=written(tmp_path), environment={}).api_key == "mine"


@pytest.mark.parametrize(
    ("url", "key", "text", "said"),
    [
        (None, None, None, "does not exist"),
        ("ftp://x", None, None, "not an http or https address"),
        ("http://", None, None, "not an http or https address"),
        ("http://x:99999", None, None, "not an http or https address"),
        ("http://u:p@x", None, None, "must not hold a user"),
        ("http://x", "a b", None, "The API key of api_key"),
        ("http://x", "", None, "The API key of api_key is empty"),
        (None, None, "{", "is damaged"),
        (None, None, '{"url": 1}', "is damaged"),
    ],
)
def test_what_cannot_be_used_says_why_and_the_cure(tmp_path: Path, url: str | None, key: str | None, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / "connection.json").write_text(text)
    with pytest.raises(NotConnected) as refused:
        load_connection(url, key, tmp_path, {})
    assert said in str(refused.value)
    assert "u:p" not in str(refused.value)


def event(seq: int | None, type: str, data: Any = None) -> str:
    return (f"id: {seq}\n" if seq else "") + f"event: {type}\ndata: {json.dumps(data or {})}\n\n"


BROKEN_STREAM = (
    json_answer(CREATED, 202),
    stream_answer("retry: 2000\n\n: hb\n\n" + event(1, "run_created") + event(2, "run_started") + "id: 3\nevent: step_tho", cut=True),
    problem(503, "unavailable"),
    stream_answer(event(2, "run_started") + event(3, "step_thought") + event(None, "step_delta", {"text": "深"}) + event(4, "run_completed") + event(5, "feedback_received")),
)


def test_a_stream_that_breaks_goes_on_after_the_last_event_and_doubles_none(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("openeaap.client.client.time.sleep", slept.append)
    with scripted(*BROKEN_STREAM) as (url, asked), Client(url, "k") as client:
        events = list(client.runs.create("a", "x", stream=True))
    assert [(each.seq, each.type) for each in events] == [(1, "run_created"), (2, "run_started"), (3, "step_thought"), (None, "step_delta"), (4, "run_completed")]
    assert [each.headers.get("last-event-id") for each in asked] == [None, None, "2", "2"]
    assert all(each.headers["authorization"] == "Bearer k" for each in asked)
    assert slept == [0.5, 1.0]


def test_the_async_stream_resumes_in_the_same_way() -> None:
    async def read() -> list[int | None]:
        async with AsyncClient(url, "k") as client:
            return [each.seq async for each in await client.runs.create("a", "x", stream=True)]

    # One break in place of two: this one really waits half a second.
    with scripted(BROKEN_STREAM[0], BROKEN_STREAM[1], BROKEN_STREAM[3]) as (url, asked):
        assert asyncio.run(read()) == [1, 2, 3, None, 4]
        assert [each.headers.get("last-event-id") for each in asked] == [None, None, "2"]


def test_a_create_whose_answer_is_lost_is_sent_again_with_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("openeaap.client.client.time.sleep", slept.append)
    with scripted(Answer(cut=True), problem(503, "unavailable", {"retry-after": "3"}), json_answer(CREATED, 202)) as (url, asked), Client(url, "k") as client:
        assert client.runs.create("a b/c", {"深": 1}).run_id == "r-1"
    bodies = [json.loads(each.body) for each in asked]
    assert bodies[0] == bodies[1] == bodies[2] and bodies[0]["input"] == {"深": 1} and len(bodies[0]["idempotency_key"]) == 36
    assert asked[0].path == "/api/v1/agents/a%20b%2Fc/runs"
    assert slept == [0.5, 3.0]


def test_a_decision_is_sent_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openeaap.client.client.time.sleep", lambda _: pytest.fail("it waited"))
    with scripted(problem(503, "unavailable"), problem(503, "unavailable")) as (url, asked), Client(url, "k") as client:
        with pytest.raises(Unavailable):
            client.approvals.approve("a-1")
        assert len(asked) == 1


def test_a_long_retry_after_is_told_and_not_waited_for() -> None:
    with scripted(problem(429, "quota_exceeded", {"retry-after": "600"})) as (url, _), Client(url, "k") as client, pytest.raises(QuotaExceeded) as full:
        client.runs.list()
    assert full.value.retry_after_s == 600


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(200, "<html>", {"content-type": "text/html"}), "not what this client knows"),
        (json_answer({"items": 3}), "not what this client knows"),
        (json_answer([]), "not what this client knows"),
        (Answer(302, "", {"location": "https://elsewhere.example/"}), "redirects to https://elsewhere.example/"),
        (Answer(418, "teapot"), "HTTP 418"),
    ],
)
def test_an_answer_that_is_none_of_ours_is_a_bad_response(answer: Answer, said: str) -> None:
    with scripted(answer) as (url, asked), Client(url, "k") as client:
        with pytest.raises(BadResponse) as bad:
            client.runs.list()
        assert said in str(bad.value) and len(asked) == 1


def test_a_proxy_s_answer_has_a_code_by_its_status() -> None:
    with scripted(Answer(404, "<html>")) as (url, _), Client(url, "k") as client, pytest.raises(Exception, match="HTTP 404") as gone:
        client.runs.get("r")
    assert type(gone.value).__name__ == "NotFound"


def test_a_stream_that_is_none_is_a_bad_response_at_once() -> None:
    with scripted(Answer(200, "{}", {"content-type": "application/json"})) as (url, asked), Client(url, "k") as client:
        with pytest.raises(BadResponse):
            list(client.runs.stream("r-1"))
        assert len(asked) == 1


def test_no_answer_says_where_the_address_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openeaap.client.client.time.sleep", lambda _: None)
    with scripted() as (url, _):
        pass
    with Client(url, "k") as client, pytest.raises(Unreachable) as none:
        client.runs.list()
    assert url in str(none.value) and "the argument url" in str(none.value)


def test_watching_is_given_up_when_nothing_comes_ten_times() -> None:
    now = [0.0]
    watch = RunWatch("r-1", 0, lambda: now[0])
    waits = []
    with pytest.raises(Unreachable, match="lost"):
        for _ in range(100):
            watch.open()
            waits.append(watch.wait_after(Unreachable("lost")))
    assert waits == [0.5, 1, 2, 4, 8, 16, 20, 20, 20, 20]


def test_a_stream_that_brought_something_or_lived_long_starts_the_count_anew() -> None:
    now = [0.0]
    watch = RunWatch("r-1", 0, lambda: now[0])
    for seq in range(1, 30):
        watch.open()
        assert [each.seq for each in watch.feed(event(seq, "step_thought"))] == [seq]
        assert watch.wait_after(None) == 0.5
    for _ in range(30):
        watch.open()
        now[0] += 10
        assert watch.wait_after(Unreachable("cut by a proxy")) == 0.5


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
def test_events_are_parsed_however_they_are_cut(size: int) -> None:
    text = ": hb\r\n\r\nid: 1\r\nevent: a\r\ndata: x\r\ndata:  y\r\n\r\nid: 2\revent: b\rdata\r\rdata: 深\n\nevent: none\n\nid: 3\ndata: late"
    parser = EventStreamParser()
    messages = [message for at in range(0, len(text), size) for message in parser.feed(text[at : at + size])]
    assert [(message.event, message.data, message.id) for message in messages] == [("a", "x\n y", "1"), ("b", "", "2"), ("message", "深", None)]


def test_an_endless_event_is_refused() -> None:
    parser = EventStreamParser()
    with pytest.raises(BadResponse, match="longer than"):
        for _ in range(10_000):
            list(parser.feed("data: " + "x" * 10_000 + "\n"))
