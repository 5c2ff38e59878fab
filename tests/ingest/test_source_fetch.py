"""The wall before other hosts' addresses, and fetching through it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address

import pytest

from almanac.core.errors import AlmanacError
from almanac.core.source import S3
from almanac.ingest.source_fetch import Wall, fetched
from almanac.ingest.source_s3 import signed_headers

LOOPBACK = "127.0.0.0/8, ::1/128"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1",
        "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1", "::", "::1", "fe80::1", "fc00::1", "ff02::1", "::ffff:10.0.0.1",
        "::ffff:127.0.0.1", "2002:7f00:1::", "2002:a00:1::", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "fec0::1", "2001:db8::1",
        "2001:0:4136:e378:8000:63bf:f5ff:fffe",
    ],
)  # fmt: skip
def test_addresses_of_the_hosts_own_network_are_refused(address: str) -> None:
    assert not Wall("").passes(ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::"])
def test_the_public_internet_is_open(address: str) -> None:
    assert Wall("").passes(ip_address(address))


def test_a_setting_opens_networks_and_no_others() -> None:
    wall = Wall("10.1.0.0/16, 192.168.7.7")
    assert wall.passes(ip_address("10.1.2.3"))
    assert wall.passes(ip_address("::ffff:10.1.2.3"))
    assert wall.passes(ip_address("192.168.7.7"))
    assert not wall.passes(ip_address("10.2.0.1"))
    with pytest.raises(AlmanacError, match="no network"):
        Wall("all")


@pytest.mark.parametrize(
    "url", ["http://localhost:1/", "http://127.0.0.1:1/", "http://[::1]:1/", "http://2130706433:1/", "http://0x7f.1:1/"]
)
def test_names_and_odd_spellings_lead_nowhere_else(url: str) -> None:
    with pytest.raises(AlmanacError) as refused, fetched(Wall(""), url, {}):
        pass
    assert "own network" in refused.value.message
    assert "source_networks" in refused.value.way_out


class Web:
    """A web server that does as its paths say, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                if self.path.startswith("/to/"):
                    self.send_response(302)
                    self.send_header("Location", self.path[4:])
                    self.end_headers()
                elif self.path == "/broken":
                    self.send_response(200)
                    self.send_header("Content-Length", "100")
                    self.end_headers()
                    self.wfile.write(b"half")
                elif self.path == "/secret":
                    self.send_response(403)
                    self.end_headers()
                    self.wfile.write(b"no\x00 \n entry")
                else:
                    self.send_response(200)
                    self.send_header("Content-Length", "5")
                    self.end_headers()
                    self.wfile.write(b"hello")

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    made = Web()
    yield made
    made.server.shutdown()
    made.server.server_close()


def body(wall: Wall, url: str, **headers: str) -> bytes:
    with fetched(wall, url, headers) as answer:
        return answer.whole(1000)


def test_redirects_are_followed_through_the_wall_and_leave_the_headers_behind(web: Web) -> None:
    wall = Wall(LOOPBACK)
    web.asked.clear()
    assert body(wall, f"{web.url}/to//there", Authorization="Bearer x") == b"hello"
    assert [headers.get("authorization") for _, headers in web.asked] == ["Bearer x", "Bearer x"]
    web.asked.clear()
    other = web.url.replace("127.0.0.1", "localhost")
    assert body(wall, f"{web.url}/to/{other}/there", Authorization="Bearer x") == b"hello"
    assert [headers.get("authorization") for _, headers in web.asked] == ["Bearer x", None]
    with pytest.raises(AlmanacError, match="own network"):
        body(Wall("127.0.0.1/32"), f"{web.url}/to/http://127.0.0.2/x")
    with pytest.raises(AlmanacError, match="no address"):
        body(wall, f"{web.url}/to/file:///etc/passwd")
    with pytest.raises(AlmanacError, match="again and again"):
        body(wall, f"{web.url}/to/" + "/to/" * 10 + "x")


def test_a_broken_answer_a_refusal_and_a_silent_host_are_sentences(web: Web) -> None:
    wall = Wall(LOOPBACK)
    with pytest.raises(AlmanacError) as broken:
        body(wall, f"{web.url}/broken")
    assert broken.value.retryable
    with fetched(wall, f"{web.url}/secret", {}) as answer:
        fault = answer.fault()
    assert (fault.retryable, fault.place) == (False, "credentials")
    assert fault.message.endswith("answers with status 403: no entry")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(AlmanacError, match="does not answer") as silent:
            body(wall, f"http://127.0.0.1:{free.getsockname()[1]}/")
    assert silent.value.retryable
    with pytest.raises(AlmanacError, match="looked up"):
        body(wall, "http://nowhere.invalid/")


def test_the_signature_is_that_of_the_documentation() -> None:
    """The worked example of Amazon's documentation (GET Bucket Lifecycle, 24 May 2013), with the headers that we send."""
    source = S3(kind="s3", bucket="examplebucket", access_key="AKIAIOSFODNN7EXAMPLE", secret_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    headers = signed_headers(source, "https://examplebucket.s3.amazonaws.com/?lifecycle=", "lifecycle=", datetime(2013, 5, 24, tzinfo=UTC))
    assert headers["Authorization"].endswith("Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")
