from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DEFAULT_LISTEN = "127.0.0.1:50051"


class ConfigError(ValueError):
    """A setting that cannot be used; the message says which one and the cure."""


@dataclass(frozen=True)
class Tls:
    certificate: bytes
    key: bytes
    client_ca: bytes | None
    """Set: a client certificate of this authority is required."""


@dataclass(frozen=True)
class WorkerConfig:
    listen: str
    name: str | None
    token: str | None
    tls: Tls | None

    def __repr__(self) -> str:
        return f"WorkerConfig(listen={self.listen!r}, name={self.name!r}, token={'[secret]' if self.token else None}, tls={self.tls is not None})"


def read_worker_config(
    listen: str | None = None, name: str | None = None, environment: Mapping[str, str] | None = None
) -> WorkerConfig:
    """What the plugin protocol has a plugin be told. The only place of a worker that reads the environment."""
    env = os.environ if environment is None else environment
    tls = _read_tls(env)
    address = listen or env.get("OPENEAAP_PLUGIN_LISTEN") or DEFAULT_LISTEN
    _check_listen(address, tls is not None)
    return WorkerConfig(listen=address, name=name or env.get("OPENEAAP_PLUGIN_NAME") or None, token=_read_token(env), tls=tls)


def is_unix(address: str) -> bool:
    return address.startswith("unix:")


def _read_token(env: Mapping[str, str]) -> str | None:
    token = env.get("OPENEAAP_PLUGIN_TOKEN")
    if token is None:
        return None
    # An empty one is a secret that got lost on its way: no reason to let everybody in.
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        raise ConfigError("OPENEAAP_PLUGIN_TOKEN is empty or holds a space or a character that is not ASCII. Give a token, or unset the variable to ask for none.")
    return token


def _read_tls(env: Mapping[str, str]) -> Tls | None:
    certificate, key, client_ca = (_read_pem(env, f"OPENEAAP_PLUGIN_TLS_{part}") for part in ("CERT", "KEY", "CLIENT_CA"))
    if certificate is None and key is None:
        if client_ca is not None:
            raise ConfigError("OPENEAAP_PLUGIN_TLS_CLIENT_CA is set without OPENEAAP_PLUGIN_TLS_CERT and OPENEAAP_PLUGIN_TLS_KEY: without TLS no client shows a certificate.")
        return None
    if certificate is None or key is None:
        missing = "CERT" if certificate is None else "KEY"
        raise ConfigError(f"OPENEAAP_PLUGIN_TLS_{missing} is not set: TLS needs certificate and key.")
    return Tls(certificate, key, client_ca)


def _read_pem(env: Mapping[str, str], variable: str) -> bytes | None:
    path = env.get(variable)
    if not path:
        return None
    try:
        pem = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{variable}: {path} cannot be read: {error.strerror}.") from error
    if b"-----BEGIN " not in pem:
        raise ConfigError(f"{variable}: {path} is not a PEM file.")
    return pem


def _check_listen(address: str, with_tls: bool) -> None:
    if is_unix(address):
        if address.removeprefix("unix:").removeprefix("//") in ("", "/"):
            raise ConfigError(f"{address!r} names no socket. Write it like unix:/run/openeaap/tools.sock.")
        return
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.%]+\]|[^\[\]:/\s]+):(\d{1,5})", address)
    if match is None or int(match[2]) > 65_535:
        raise ConfigError(f"{address!r} is no address to listen on. Write it like {DEFAULT_LISTEN}, [::1]:50051 or unix:/path; port 0 is any.")
    if not with_tls and not _is_loopback(match[1].strip("[]")):
        raise ConfigError(f"{address} can be reached from outside of this machine, and there is no TLS. Set OPENEAAP_PLUGIN_TLS_CERT and OPENEAAP_PLUGIN_TLS_KEY, or listen on {DEFAULT_LISTEN} or unix:/path.")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
