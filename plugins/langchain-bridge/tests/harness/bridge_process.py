"""The bridge as the platform starts it: a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import grpc
from openeaap._proto import runtime_pb2 as pb
from openeaap._proto import runtime_pb2_grpc as pb_grpc

FIXTURES = Path(__file__).parent.parent / "fixtures"


class BridgeProcess:
    def __init__(self, *agents: str, env: dict[str, str] | None = None) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.log = open(Path(self.folder.name) / "log", "w+b")
        targets = [part for agent in agents for part in ("--agents", agent)]
        environment = {**os.environ, "OPENEAAP_PLUGIN_LISTEN": f"unix:{self.folder.name}/s", "LANGSMITH_TRACING": "false", "NO_PROXY": "127.0.0.1", **(env or {})}
        self.process = subprocess.Popen([sys.executable, "-m", "openeaap_langchain_bridge", *targets], env=environment, cwd=FIXTURES, stdout=subprocess.PIPE, stderr=self.log)
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline().decode()
        if not self.line:
            self.process.wait(10)
            raise RuntimeError(f"The bridge did not start: {self.stderr()}")
        self.channel = grpc.insecure_channel(json.loads(self.line)["listen"], options=[("grpc.max_receive_message_length", -1)])
        self.stub = pb_grpc.RuntimeServiceStub(self.channel)

    def handshake(self) -> pb.HandshakeResponse:
        return self.stub.Handshake(pb.HandshakeRequest(protocol_versions=[1]), timeout=10)

    def stderr(self) -> str:
        self.log.flush()
        return Path(self.log.name).read_text(errors="replace")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)
        self.channel.close()

    def close(self) -> None:
        self.channel.close()
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(15)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.log.close()
        self.folder.cleanup()
