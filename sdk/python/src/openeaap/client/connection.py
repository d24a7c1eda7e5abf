from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from openeaap.client.errors import NotConnected


@dataclass(frozen=True)
class Connection:
    """Which server, with which key, and who said so."""

    url: str
    """Without a slash at the end."""
    api_key: str | None
    source: str

    def __repr__(self) -> str:
        return f"Connection(url={self.url!r}, api_key={'[secret]' if self.api_key else None}, source={self.source!r})"


def load_connection(
    url: str | None = None,
    api_key: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Connection:
    """Arguments before environment before the state folder's connection.json.

    The file's key goes only to the file's server, and a key of yours goes to a server that only
    the file names if that is on this machine: a folder somebody else wrote must not collect keys.
    The only place of a client that reads the environment.
    """
    env = os.environ if environment is None else environment
    file = Path(data_dir or env.get("OPENEAAP_DATA_DIR") or ".openeaap") / "connection.json"
    given_url = url or env.get("OPENEAAP_URL") or None
    key = _key(api_key, "api_key") if api_key is not None else _key(env["OPENEAAP_API_KEY"], "OPENEAAP_API_KEY") if env.get("OPENEAAP_API_KEY") else None
    if given_url is not None:
        clean = _clean_url(given_url)
        source = "the argument url" if url else "OPENEAAP_URL"
        if key is None:
            written = _read_file(file)
            key = written.api_key if written is not None and written.url == clean else None
        return Connection(clean, key, source)
    written = _read_file(file)
    if written is None:
        raise NotConnected(f"No server is known: neither url nor OPENEAAP_URL is given, and {file} does not exist.", cure="Give Client(url=...), or data_dir=... of a server on this machine.")
    if key is not None and not _is_loopback(written.url):
        raise NotConnected(f"{file} names {written.url}, which is not this machine, so your key is not sent there.", cure="If you trust that server, name it: Client(url=...).")
    return Connection(written.url, key or written.api_key, str(file))


def _key(text: str, source: str) -> str:
    if re.fullmatch(r"[\x21-\x7e]+", text):
        return text
    raise NotConnected(f"The API key of {source} is empty or holds a space or a character that is not ASCII.")


def _clean_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not host:
        raise NotConnected(f"{text!r} is not an http or https address.", cure="Write it like http://127.0.0.1:7080.")
    if "@" in parts.netloc:
        raise NotConnected("The address must not hold a user or a password.", cure="Give the key by api_key or OPENEAAP_API_KEY.")
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _read_file(file: Path) -> Connection | None:
    """None: there is no such file."""
    try:
        written: Any = json.loads(file.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise NotConnected(f"{file} cannot be read: {error.strerror}.", cure="It belongs to the user who runs the server; run as that user, or give url and api_key.") from error
    except ValueError:
        written = None
    if not isinstance(written, dict) or not isinstance(written.get("url"), str):
        raise NotConnected(f"{file} is damaged: it holds no url.", cure="Restart the server, which writes it anew.")
    key = written.get("api_key")
    return Connection(_clean_url(written["url"]), _key(key, str(file)) if isinstance(key, str) else None, str(file))
