"""openeaap-worker as a process of its own, started as a platform starts it."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from openeaap._proto import runtime_pb2_grpc as pb_grpc

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
START_LIMIT_S = 20
STOP_LIMIT_S = 15


@dataclass
class WorkerProcess:
    process: subprocess.Popen[str]
    announcement: dict[str, Any]
    stdout: list[str]
    stderr_file: Path
    channels: list[grpc.Channel] = field(default_factory=list)

    @property
    def address(self) -> str:
        return str(self.announcement["listen"])

    def stub(self, credentials: grpc.ChannelCredentials | None = None, options: Sequence[tuple[str, Any]] = ()) -> pb_grpc.RuntimeServiceStub:
        return pb_grpc.RuntimeServiceStub(self.channel(credentials, options))

    def channel(self, credentials: grpc.ChannelCredentials | None = None, options: Sequence[tuple[str, Any]] = ()) -> grpc.Channel:
        made = grpc.insecure_channel(self.address, options=options) if credentials is None else grpc.secure_channel(self.address, credentials, options=options)
        self.channels.append(made)
        return made

    def stderr(self) -> str:
        return self.stderr_file.read_text("utf-8")

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_LIMIT_S)


@contextmanager
def launched(*arguments: str, env: Mapping[str, str] | None = None, cwd: Path = FIXTURES, program: Sequence[str] = ("-m", "openeaap.worker")) -> Iterator[WorkerProcess]:
    with tempfile.TemporaryDirectory() as folder:
        stderr_file = Path(folder) / "stderr"
        with stderr_file.open("w") as stderr:
            process = subprocess.Popen([sys.executable, *program, *arguments], cwd=cwd, env=clean_env(env), stdout=subprocess.PIPE, stderr=stderr, text=True)
        lines: queue.Queue[str | None] = queue.Queue()
        seen: list[str] = []
        reader = threading.Thread(target=_read, args=(process, lines, seen), daemon=True)
        reader.start()
        worker: WorkerProcess | None = None
        try:
            first = lines.get(timeout=START_LIMIT_S)
            if first is None:
                raise AssertionError(f"the worker ended with {process.wait()}:\n{stderr_file.read_text()}")
            worker = WorkerProcess(process, json.loads(first), seen, stderr_file)
            yield worker
        finally:
            for channel in worker.channels if worker else []:
                channel.close()
            process.kill()
            process.wait()
            reader.join(5)
            assert process.stdout is not None
            process.stdout.close()


def run_worker(*arguments: str, env: Mapping[str, str] | None = None, cwd: Path = FIXTURES) -> subprocess.CompletedProcess[str]:
    """For a worker that is expected to end by itself."""
    return subprocess.run([sys.executable, "-m", "openeaap.worker", *arguments], cwd=cwd, env=clean_env(env), capture_output=True, text=True, timeout=START_LIMIT_S, check=False)


def clean_env(env: Mapping[str, str] | None) -> dict[str, str]:
    """Nothing of the machine's own settings may decide a test."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
    return {**inherited, "OPENEAAP_PLUGIN_LISTEN": "127.0.0.1:0", **(env or {})}


def _read(process: subprocess.Popen[str], lines: queue.Queue[str | None], seen: list[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        seen.append(line)
        lines.put(line)
    lines.put(None)
