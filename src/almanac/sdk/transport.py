"""One request with a batch of events, and what the answer means. Uses a connection that is kept open."""

from __future__ import annotations

import base64
import email.utils
import gzip
import http.client
import json
import ssl
import time
import urllib.parse
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

VERSION: Final = "0.1.0"
PATH: Final = "/api/v1/events"
LONGEST_WAIT: Final = 600.0  # seconds of a Retry-After that are obeyed
_SMALL: Final = 1024  # bytes below which compressing does not pay
_LARGEST_ANSWER: Final = 8 << 20

DELIVERED: Final = "delivered"
SPLIT: Final = "split"  # this batch will never do, smaller ones may
LATER: Final = "later"


@dataclass(frozen=True)
class Reply:
    """`outcome`: delivered, split or later. `rejected`: what the server made dead letters of, each with index, reason and detail."""

    outcome: str
    detail: str = ""
    status: int = 0  # 0: no answer came
    wait: float = 0.0  # seconds that the server asks for
    rejected: list[dict[str, Any]] = field(default_factory=list)


def address(host: str) -> urllib.parse.SplitResult:
    """The parts of a server's address. Raises `ValueError` with what would be right."""
    parts = urllib.parse.urlsplit(host)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"The host is {host!r}; it has to be an address such as https://almanac.example.org.")
    _ = parts.port  # raises for what is no port
    return parts


class Transport:
    """Posts batches to one server. Not for several threads at once.

    `host`: the server's address, perhaps with a path that a proxy needs. `timeout`: seconds of silence after which an answer is not
    awaited any longer. Proxies are those of the environment.
    """

    def __init__(self, key: str, host: str, *, timeout: float, compress: bool, tls: ssl.SSLContext | None = None) -> None:
        self._parts = address(host)
        self._timeout = timeout
        self._compress = compress
        self._tls = tls
        self._headers = {
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/json",
            "User-Agent": f"python-almanac/{VERSION}",
        }
        self._connection: http.client.HTTPConnection | None = None
        self._target = ""

    def post(self, lines: Sequence[bytes]) -> Reply:
        """Sends events, a line of JSON each. Never raises."""
        sent_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        body = b'{"batch":[' + b",".join(lines) + b'],"sent_at":"' + sent_at.encode() + b'"}'
        headers = dict(self._headers)
        if self._compress and len(body) >= _SMALL:
            body = gzip.compress(body, 5, mtime=0)
            headers["Content-Encoding"] = "gzip"
        for used in (self._connection is not None, False):
            try:
                return self._once(body, headers)
            except (http.client.RemoteDisconnected, ConnectionError, BrokenPipeError) as error:
                self.close()
                if not used:  # a kept connection may have been closed meanwhile: that says nothing about the server
                    return Reply(LATER, f"{type(error).__name__}: {error}")
            except Exception as error:
                self.close()
                return Reply(LATER, f"{type(error).__name__}: {error}")
        raise AssertionError("a new connection is tried last")

    def _once(self, body: bytes, headers: dict[str, str]) -> Reply:
        if self._connection is None:
            self._connection, self._target = self._connect(headers)
        self._connection.request("POST", self._target, body, headers)
        answer = self._connection.getresponse()
        text = answer.read(_LARGEST_ANSWER)
        if answer.will_close or not answer.isclosed():
            self.close()
        return read_answer(answer.status, text, answer.getheader("Retry-After") or "", answer.getheader("Location") or "")

    def _connect(self, headers: dict[str, str]) -> tuple[http.client.HTTPConnection, str]:
        parts = self._parts
        host, port = parts.hostname or "", parts.port
        path = parts.path.rstrip("/") + PATH
        named = urllib.request.getproxies().get(parts.scheme, "")
        proxy = urllib.parse.urlsplit(named if "//" in named else f"//{named}") if named else None
        if proxy is None or not proxy.hostname or urllib.request.proxy_bypass(host):
            if parts.scheme == "https":
                return http.client.HTTPSConnection(host, port, timeout=self._timeout, context=self._context()), path
            return http.client.HTTPConnection(host, port, timeout=self._timeout), path
        credentials = {}
        if proxy.username:
            pair = f"{urllib.parse.unquote(proxy.username)}:{urllib.parse.unquote(proxy.password or '')}"
            credentials = {"Proxy-Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
        if parts.scheme == "https":
            through = http.client.HTTPSConnection(proxy.hostname, proxy.port, timeout=self._timeout, context=self._context())
            through.set_tunnel(host, port or 443, credentials)
            return through, path
        headers.update(credentials)
        self._headers.update(credentials)
        plain = http.client.HTTPConnection(proxy.hostname, proxy.port or 80, timeout=self._timeout)
        return plain, f"http://{parts.netloc.rpartition('@')[2]}{path}"

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls

    def close(self) -> None:
        """Closes the connection; the next request opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def read_answer(status: int, text: bytes, retry_after: str, location: str) -> Reply:
    """What an answer means for the batch."""
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    said = body if isinstance(body, dict) else {}
    if 200 <= status < 300:
        if said.get("status") != 1:  # a portal or a proxy that answers for the server
            return Reply(LATER, "Something answered that is not Almanac. Is the host right?", status)
        rejected = [item for item in said.get("rejected") or [] if isinstance(item, dict)]
        return Reply(DELIVERED, "", status, rejected=rejected)
    detail = f"HTTP {status}"
    if isinstance(said.get("message"), str):
        detail += f": {said['message']}"
    elif location:
        detail += f", which points to {location}. Give that as the host."
    if status in (400, 413, 422):
        return Reply(SPLIT, detail, status)
    return Reply(LATER, detail, status, _seconds(retry_after))


def _seconds(retry_after: str) -> float:
    if not retry_after:
        return 0.0
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time()
        except (TypeError, ValueError):
            return 0.0
    return min(max(seconds, 0.0), LONGEST_WAIT) if seconds == seconds else 0.0
