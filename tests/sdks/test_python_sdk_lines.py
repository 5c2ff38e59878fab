"""Our own SDK for Python over TLS and through the proxies that the environment names."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import almanac
from almanac.sdk import Problem

KEY = "test-write-key"


class Line:
    """Listens, and hands each connection to `serve` in a thread of its own."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.heads: list[bytes] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._try, args=(connection,), daemon=True).start()

    def _try(self, connection: socket.socket) -> None:
        try:
            self.serve(connection)
        except OSError:
            connection.close()

    def serve(self, connection: socket.socket) -> None:
        raise NotImplementedError


def pump(one: socket.socket, other: socket.socket) -> None:
    def way(source: socket.socket, sink: socket.socket) -> None:
        try:
            while piece := source.recv(65536):
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return

    back = threading.Thread(target=way, args=(other, one), daemon=True)
    back.start()
    way(one, other)
    back.join(10)
    one.close()
    other.close()


class Tls(Line):
    """TLS in front of a port."""

    def __init__(self, target: int, certificate: Path) -> None:
        self._target = target
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        pump(self._context.wrap_socket(connection, server_side=True), socket.create_connection(("127.0.0.1", self._target)))


class Proxy(Line):
    """An HTTP proxy: CONNECT, or a request with the whole address."""

    def serve(self, connection: socket.socket) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65536)
        head, _, rest = data.partition(b"\r\n\r\n")
        self.heads.append(head)
        method, address, _ = head.split(b"\r\n")[0].split()
        authority = address if method == b"CONNECT" else address.split(b"/")[2]
        host, _, port = authority.decode().partition(":")
        behind = socket.create_connection((host, int(port)))
        if method == b"CONNECT":
            connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            behind.sendall(rest)
        else:
            path = b"/" + address.split(b"/", 3)[3]
            behind.sendall(data.replace(address, path, 1))
        pump(connection, behind)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of 127.0.0.1, signed by nobody else."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    made = Proxy()
    for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, f"http://me:s%40cret@127.0.0.1:{made.port}")
    yield made
    made.listener.close()


def test_tls(server: Any, certificate: Path) -> None:
    line = Tls(server.port, certificate)
    url = f"https://127.0.0.1:{line.port}"
    problems: list[Problem] = []
    with almanac.Client(KEY, url, flush_seconds=0.01, on_error=problems.append, close_seconds=0.1) as stranger:
        stranger.track("to a stranger")
        assert not stranger.flush(2)
    assert [problem.reason for problem in problems] == ["unreachable", "closed"]
    assert "CERTIFICATE_VERIFY_FAILED" in problems[0].detail
    with almanac.Client(KEY, url, tls=ssl.create_default_context(cafile=str(certificate)), flush_seconds=0.01) as known:
        for name in ("one", "two"):
            known.track(name)
            assert known.flush()
    line.listener.close()
    assert [event.name for event in server.events(2)] == ["one", "two"]


def test_proxies(server: Any, certificate: Path, proxy: Proxy) -> None:
    line = Tls(server.port, certificate)
    for url in (server.url, f"https://127.0.0.1:{line.port}"):
        with almanac.Client(KEY, url, tls=ssl.create_default_context(cafile=str(certificate)), flush_seconds=0.01) as client:
            client.track(url[:5])
            assert client.flush()
    line.listener.close()
    assert [event.name for event in server.events(2)] == ["http:", "https"]
    assert [head.split()[0] for head in proxy.heads] == [b"POST", b"CONNECT"]
    assert all(b"Proxy-Authorization: Basic bWU6c0BjcmV0" in head for head in proxy.heads)
    assert b"Bearer" not in proxy.heads[1]


def test_no_proxy(server: Any, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with almanac.Client(KEY, server.url, flush_seconds=0.01) as client:
        client.track("straight")
        assert client.flush()
    assert proxy.heads == []
