"""The program openeaap-worker, started as a platform starts a plugin."""

import json
import stat
import threading
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc
from harness.serving import tool_step
from harness.wait_until import wait_until
from harness.worker_process import launched, run_worker

from openeaap._proto import runtime_pb2 as pb
from openeaap.plugin.worker_config import ConfigError, read_worker_config

SLEEP = "conformance_sleep"


@pytest.fixture
def module(tmp_path: Path) -> Any:
    """Writes a module of tools; returns its folder."""

    def write(text: str, name: str = "my_tools") -> Path:
        (tmp_path / f"{name}.py").write_text(text, "utf-8")
        return tmp_path

    return write


def health_of(channel: grpc.Channel, **options: Any) -> int:
    status: int = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5, **options).status
    return status


def test_standard_output_is_one_line_whatever_the_user_s_code_prints(module: Any) -> None:
    folder = module("import os\nprint('at import')\nos.system('echo from a child')\nfrom openeaap.sdk import tool\n@tool\ndef noisy() -> int:\n    'Prints.'\n    print('in the tool', flush=True)\n    return 1\n")
    with launched("my_tools", cwd=folder) as worker:
        assert worker.announcement == {"openeaap_plugin": 1, "listen": worker.address}
        assert worker.address.startswith("127.0.0.1:") and not worker.address.endswith(":0")
        assert worker.stub().ExecuteStep(tool_step("noisy"), timeout=5).output_payload == "1"
        assert worker.terminate() == 0
        assert len(worker.stdout) == 1
        assert [line in worker.stderr() for line in ("at import", "from a child", "in the tool")] == [True] * 3


def test_the_handshake_agrees_on_the_highest_version_that_both_know() -> None:
    with launched("conformance_worker", "--version", "2.1.0") as worker:
        stub = worker.stub()
        for offered, spoken in (([1], 1), ([99, 1], 1), ([99], 0), ([], 0)):
            answer = stub.Handshake(pb.HandshakeRequest(protocol_versions=offered), timeout=5)
            assert (answer.protocol_version, list(answer.protocol_versions)) == (spoken, [1])
        answer = stub.Handshake(pb.HandshakeRequest(protocol_versions=[1]), timeout=5)
        assert (answer.name, answer.version, answer.sdk.language) == ("conformance", "2.1.0", "python")
        assert answer.streaming and answer.max_message_bytes == 32 * 1024 * 1024 and answer.max_concurrent_steps == 64
        assert [agent.name for agent in answer.agents] == ["conformance"]
        assert {tool.name: tool.effect for tool in answer.tools}["conformance_count"] == pb.TOOL_EFFECT_WRITE
        assert [tool.idempotent for tool in answer.tools if tool.name == "conformance_count"] == [True]


def test_the_name_is_the_flag_s_else_the_environment_s_else_its_own() -> None:
    def name(*arguments: str, env: dict[str, str] | None = None) -> str:
        with launched(*arguments, env=env) as worker:
            return str(worker.stub().Handshake(pb.HandshakeRequest(protocol_versions=[1]), timeout=5).name)

    assert name("conformance_worker:conformance_echo") == "conformance_worker"
    assert name("conformance_worker", env={"OPENEAAP_PLUGIN_NAME": "of-env"}) == "of-env"
    assert name("conformance_worker", "--name", "of-flag", env={"OPENEAAP_PLUGIN_NAME": "of-env"}) == "of-flag"


def test_sigterm_finishes_what_is_under_way_takes_nothing_new_and_ends_with_0() -> None:
    with launched("conformance_worker") as worker:
        stub = worker.stub()
        under_way = stub.ExecuteStep.future(tool_step(SLEEP, '{"ms": 700}'), timeout=10)
        wait_until("the step is under way", lambda: stub.HealthCheck(pb.HealthCheckRequest(), timeout=5).detail.startswith("1 of"))
        codes: list[int] = []
        ending = threading.Thread(target=lambda: codes.append(worker.terminate()))
        ending.start()
        wait_until("new steps are refused", lambda: refused(worker))
        assert json.loads(under_way.result().output_payload) == {"slept_ms": 700}
        ending.join(15)
        assert codes == [0]


def refused(worker: Any) -> bool:
    # A channel of its own: one that is open may be told later.
    with grpc.insecure_channel(worker.address) as channel:
        call = channel.unary_unary("/openeaap.runtime.v1.RuntimeService/HealthCheck", request_serializer=pb.HealthCheckRequest.SerializeToString, response_deserializer=pb.HealthCheckResponse.FromString)
        try:
            call(pb.HealthCheckRequest(), timeout=1)
        except grpc.RpcError as error:
            return error.code() is grpc.StatusCode.UNAVAILABLE
        return False


def test_a_tool_that_hangs_does_not_keep_the_process_after_a_second_signal(module: Any) -> None:
    folder = module("import time\nfrom openeaap.sdk import tool\n@tool\ndef hangs() -> int:\n    'Hangs.'\n    time.sleep(60)\n    return 1\n")
    with launched("my_tools", cwd=folder) as worker:
        stub = worker.stub()
        # Held: a call that nobody holds is cancelled.
        call = stub.ExecuteStep.future(tool_step("hangs"), timeout=60)
        wait_until("the step is under way", lambda: stub.HealthCheck(pb.HealthCheckRequest(), timeout=5).detail.startswith("1 of"))
        worker.process.terminate()
        wait_until("the drain has begun", lambda: refused(worker))
        worker.process.terminate()
        assert worker.process.wait(5) == 1
        assert call.exception() is not None


def test_a_stopped_worker_leaves_a_thread_that_hangs_behind(module: Any) -> None:
    """A cancelled call whose thread never ends: the process ends nevertheless, with 0."""
    folder = module("import time\nfrom openeaap.sdk import tool\n@tool\ndef hangs() -> int:\n    'Hangs.'\n    time.sleep(60)\n    return 1\n")
    with launched("my_tools", cwd=folder) as worker:
        stub = worker.stub()
        with pytest.raises(grpc.RpcError):
            stub.ExecuteStep(tool_step("hangs"), timeout=0.3)
        assert worker.terminate() == 0
        assert "1 steps did not end" in worker.stderr()


@pytest.mark.parametrize(
    "body",
    [
        "    import time\n    await asyncio.to_thread(time.sleep, 60)\n",
        "    while True:\n        try:\n            await asyncio.sleep(60)\n        except BaseException:\n            pass\n",
        "    import threading, time\n    threading.Thread(target=time.sleep, args=(60,)).start()\n    await asyncio.sleep(60)\n",
    ],
    ids=["blocks the loop's executor", "swallows its cancellation", "leaves a thread"],
)
def test_async_code_that_hangs_does_not_keep_the_process(module: Any, body: str) -> None:
    folder = module(f"import asyncio\nfrom openeaap.sdk import tool\n@tool\nasync def hangs() -> int:\n    'Hangs.'\n{body}    return 1\n")
    with launched("my_tools", cwd=folder) as worker:
        with pytest.raises(grpc.RpcError):
            worker.stub().ExecuteStep(tool_step("hangs"), timeout=0.3)
        assert worker.terminate() == 0


def test_without_the_token_only_the_probes_are_answered() -> None:
    with launched("conformance_worker", env={"OPENEAAP_PLUGIN_TOKEN": "t0ken"}) as worker:
        stub, channel = worker.stub(), worker.channel()
        good = (("authorization", "Bearer t0ken"),)
        bad: list[Any] = [None, (("authorization", "Bearer nope"),), (("authorization", "t0ken"),), (("authorization", "Bearer t0ken2"),), (*good, *good)]
        for metadata in bad:
            calls = (
                lambda metadata=metadata: stub.Handshake(pb.HandshakeRequest(protocol_versions=[1]), timeout=5, metadata=metadata),
                lambda metadata=metadata: stub.HealthCheck(pb.HealthCheckRequest(), timeout=5, metadata=metadata),
                lambda metadata=metadata: stub.ExecuteStep(tool_step("conformance_echo"), timeout=5, metadata=metadata),
                lambda metadata=metadata: list(stub.ExecuteStepStream(tool_step("conformance_echo"), timeout=5, metadata=metadata)),
            )
            for call in calls:
                with pytest.raises(grpc.RpcError) as wrong:
                    call()
                assert wrong.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert health_of(channel) == health_pb2.HealthCheckResponse.SERVING
        assert stub.HealthCheck(pb.HealthCheckRequest(), timeout=5, metadata=good).serving
        assert "t0ken" not in worker.stderr()


def test_a_unix_socket_is_for_its_owner_alone(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/w.sock"
    with launched("conformance_worker", "--listen", address) as worker:
        assert worker.address == address
        assert stat.S_IMODE((tmp_path / "w.sock").stat().st_mode) == 0o600
        assert worker.stub().HealthCheck(pb.HealthCheckRequest(), timeout=5).serving
    # What a killed worker leaves behind does not keep the next one from starting.
    assert (tmp_path / "w.sock").exists()
    with launched("conformance_worker", env={"OPENEAAP_PLUGIN_LISTEN": address}) as worker:
        assert health_of(worker.channel()) == health_pb2.HealthCheckResponse.SERVING


def test_tls_and_a_required_client_certificate(tmp_path: Path) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    server = authority.issue_cert("localhost", "127.0.0.1")
    env = {}
    for name, pem in (("CERT", server.cert_chain_pems[0]), ("KEY", server.private_key_pem), ("CLIENT_CA", authority.cert_pem)):
        pem.write_to_path(str(tmp_path / name))
        env[f"OPENEAAP_PLUGIN_TLS_{name}"] = str(tmp_path / name)

    def credentials(issuer: trustme.CA | None) -> grpc.ChannelCredentials:
        if issuer is None:
            return grpc.ssl_channel_credentials(authority.cert_pem.bytes())
        mine = issuer.issue_cert("platform")
        return grpc.ssl_channel_credentials(authority.cert_pem.bytes(), mine.private_key_pem.bytes(), mine.cert_chain_pems[0].bytes())

    with launched("conformance_worker", "--listen", "0.0.0.0:0", env=env) as worker:
        assert worker.address.startswith("0.0.0.0:")
        worker.announcement["listen"] = worker.address.replace("0.0.0.0", "127.0.0.1")
        assert worker.stub(credentials(authority)).HealthCheck(pb.HealthCheckRequest(), timeout=5).serving
        for wrong in (credentials(None), credentials(stranger)):
            with pytest.raises(grpc.RpcError) as refusal:
                worker.stub(wrong).HealthCheck(pb.HealthCheckRequest(), timeout=5)
            assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
        with pytest.raises(grpc.RpcError):
            worker.stub().HealthCheck(pb.HealthCheckRequest(), timeout=5)


def test_it_refuses_to_listen_to_the_world_without_tls() -> None:
    ended = run_worker("conformance_worker", "--listen", "0.0.0.0:0")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "OPENEAAP_PLUGIN_TLS_CERT" in ended.stderr and "Traceback" not in ended.stderr


def test_an_address_that_is_taken_is_refused() -> None:
    with launched("conformance_worker") as worker:
        ended = run_worker("conformance_worker", "--listen", worker.address)
        assert ended.returncode == 2
        assert worker.address in ended.stderr and "in use" in ended.stderr and "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"OPENEAAP_PLUGIN_LISTEN": "50051"}, "'50051' is no address"),
        ({"OPENEAAP_PLUGIN_LISTEN": "127.0.0.1:99999"}, "no address"),
        ({"OPENEAAP_PLUGIN_LISTEN": "unix:"}, "names no socket"),
        ({"OPENEAAP_PLUGIN_LISTEN": "[::]:1"}, "there is no TLS"),
        ({"OPENEAAP_PLUGIN_LISTEN": "plugins.example:1"}, "there is no TLS"),
        ({"OPENEAAP_PLUGIN_TOKEN": ""}, "OPENEAAP_PLUGIN_TOKEN is empty"),
        ({"OPENEAAP_PLUGIN_TOKEN": "a b"}, "OPENEAAP_PLUGIN_TOKEN"),
        ({"OPENEAAP_PLUGIN_TLS_CERT": "/nowhere/x.pem"}, "OPENEAAP_PLUGIN_TLS_CERT: /nowhere/x.pem cannot be read"),
        ({"OPENEAAP_PLUGIN_TLS_CLIENT_CA": __file__}, "not a PEM file"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_with_its_cure(env: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_worker_config(environment=env)
    assert said in str(refused.value)


def test_half_of_tls_is_refused(tmp_path: Path) -> None:
    pem = tmp_path / "x.pem"
    trustme.CA().cert_pem.write_to_path(str(pem))
    for name, said in (("CERT", "OPENEAAP_PLUGIN_TLS_KEY is not set"), ("KEY", "OPENEAAP_PLUGIN_TLS_CERT is not set"), ("CLIENT_CA", "without OPENEAAP_PLUGIN_TLS_CERT")):
        with pytest.raises(ConfigError) as refused:
            read_worker_config(environment={f"OPENEAAP_PLUGIN_TLS_{name}": str(pem)})
        assert said in str(refused.value)


@pytest.mark.parametrize("address", ["127.0.0.1:0", "localhost:50051", "[::1]:0", "127.8.9.1:1", "unix:/tmp/x.sock", "unix:x.sock"])
def test_loopback_and_sockets_need_no_tls(address: str) -> None:
    config = read_worker_config(environment={"OPENEAAP_PLUGIN_LISTEN": address, "OPENEAAP_PLUGIN_TOKEN": "t0ken"})
    assert config.listen == address and "t0ken" not in repr(config)


def test_the_default_is_the_protocol_s() -> None:
    assert read_worker_config(environment={}).listen == "127.0.0.1:50051"


def test_serve_is_a_program_of_its_own() -> None:
    with launched(program=("conformance_worker.py",)) as worker:
        assert worker.stub().HealthCheck(pb.HealthCheckRequest(), timeout=5).serving
        assert worker.terminate() == 0
