from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from openeaap._proto import runtime_pb2_grpc as pb_grpc
from openeaap._version import VERSION
from openeaap.plugin.agent import Agent
from openeaap.plugin.offer import MAX_MESSAGE_BYTES, make_offer
from openeaap.plugin.runtime_servicer import RuntimeServicer
from openeaap.plugin.serve_worker import DRAIN_SECONDS, serve_worker, take_stdout
from openeaap.plugin.token_check import TokenCheck
from openeaap.plugin.tool import Tool
from openeaap.plugin.worker_config import ConfigError, WorkerConfig, is_unix, read_worker_config

MAX_CONCURRENT_STEPS = 64
_KEEPALIVE_MS = 5_000
_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    # What may be sent is what the platform said in the handshake; the steps look at that.
    ("grpc.max_send_message_length", -1),
    # Two workers on one port would share its calls unnoticed.
    ("grpc.so_reuseport", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", _KEEPALIVE_MS),
)


class Worker:
    """A plugin: offers tools and agents to the platform, which connects to it.

    ``serve()`` is a whole program: it listens as the environment says (docs/plugin-protocol.md),
    says so on standard output, and stops in good order on SIGTERM. ``start()`` and ``stop()`` are
    its two halves for a loop of your own.
    """

    def __init__(
        self,
        tools: Iterable[Tool[..., Any]] = (),
        agents: Iterable[Agent] = (),
        name: str | None = None,
        version: str | None = None,
        max_concurrent_steps: int = MAX_CONCURRENT_STEPS,
    ) -> None:
        if max_concurrent_steps < 1:
            raise ValueError(f"max_concurrent_steps is {max_concurrent_steps}; it is 1 or more.")
        self.name = name
        self.version = version
        self.max_concurrent_steps = max_concurrent_steps
        # Checked here, where the line that is wrong is on the stack.
        offer = make_offer("", "", tools, agents, max_concurrent_steps)
        self.tools = tuple(offer.tools.values())
        self.agents = tuple(offer.agents.values())
        if not self.tools and not self.agents:
            raise ValueError("The worker has neither a tool nor an agent. Give it some: Worker(tools=[...], agents=[...]).")
        self._running: _Running | None = None

    def serve(self, listen: str | None = None) -> None:
        """Blocks until SIGTERM or SIGINT. Raises ConfigError for settings that cannot be used."""
        serve_worker(self, take_stdout(), listen)

    async def start(self, listen: str | None = None, name: str | None = None) -> str:
        """Listens, and returns the address. What is given here goes before the environment."""
        if self._running is not None:
            raise RuntimeError(f"The worker listens on {self._running.address} already.")
        config = read_worker_config(listen, name)
        servicer = RuntimeServicer(
            make_offer(
                config.name or self.name or "openeaap-worker",
                self.version or VERSION,
                self.tools,
                self.agents,
                self.max_concurrent_steps,
            )
        )
        probes = health.aio.HealthServicer()
        server = grpc.aio.server(options=_OPTIONS, interceptors=[TokenCheck(config.token)] if config.token else None)
        pb_grpc.add_RuntimeServiceServicer_to_server(servicer, server)  # type: ignore[no-untyped-call]
        health_pb2_grpc.add_HealthServicer_to_server(probes, server)
        try:
            address = _bind(server, config)
        except ConfigError:
            await server.stop(None)
            raise
        await server.start()
        await probes.set("", health_pb2.HealthCheckResponse.SERVING)
        self._running = _Running(server, servicer, probes, address)
        return address

    async def stop(self, grace: float = DRAIN_SECONDS) -> None:
        """Takes no new steps, waits at most ``grace`` seconds for those under way, and ends."""
        running, self._running = self._running, None
        if running is None:
            return
        running.servicer.begin_drain()
        await running.probes.enter_graceful_shutdown()
        await running.server.stop(grace)
        left = running.servicer.close()
        if left:
            logging.getLogger("openeaap.worker").warning("%d steps did not end within %g s and were left.", left, grace)


class _Running:
    def __init__(self, server: Any, servicer: RuntimeServicer, probes: Any, address: str) -> None:
        self.server = server
        self.servicer = servicer
        self.probes = probes
        self.address = address


def _bind(server: Any, config: WorkerConfig) -> str:
    # A socket is for its owner alone; whoever may write to its folder is whoever made that.
    mask = os.umask(0o177) if is_unix(config.listen) else None
    try:
        if config.tls is None:
            port = server.add_insecure_port(config.listen)
        else:
            credentials = grpc.ssl_server_credentials(
                [(config.tls.key, config.tls.certificate)],
                root_certificates=config.tls.client_ca,
                require_client_auth=config.tls.client_ca is not None,
            )
            port = server.add_secure_port(config.listen, credentials)
    except RuntimeError as error:
        raise ConfigError(f"{config.listen} cannot be listened on: it is in use, or not of this machine, or its folder does not exist. Choose another with OPENEAAP_PLUGIN_LISTEN or --listen; port 0 is any.") from error
    finally:
        if mask is not None:
            os.umask(mask)
    if port == 0:
        raise ConfigError(f"{config.listen} cannot be listened on.")
    return config.listen if is_unix(config.listen) else f"{config.listen.rsplit(':', 1)[0]}:{port}"
