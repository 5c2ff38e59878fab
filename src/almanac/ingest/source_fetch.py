"""Fetching from other hosts, and not from those that a source must not reach.

Whoever may make a source must not be able to look behind this host's walls with it. So the address that a name stands for is checked, and
the connection goes to that very address: a name that stands for another one a moment later changes nothing.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from almanac.core.errors import AlmanacError, invalid, unavailable

SECONDS: Final = 30.0  # without a byte, after which a host counts as silent
_REDIRECTS: Final = 5
_SHOWN: Final = 300  # letters of a foreign answer that an error tells
_NAT64: Final = IPv6Network("64:ff9b::/96")
_PORTS: Final = {"http": 80, "https": 443}

Address = IPv4Address | IPv6Address


class Wall:
    """Which addresses may be reached: all of the public internet, and the networks of the setting `source_networks`."""

    def __init__(self, networks: str) -> None:
        """`networks`: in CIDR form, with commas between them. Raises `invalid`."""
        self._open: list[IPv4Network | IPv6Network] = []
        for text in (part.strip() for part in networks.split(",")):
            if text:
                try:
                    self._open.append(ip_network(text, strict=False))
                except ValueError:
                    raise invalid(f"{text!r} is no network.", place="source_networks", way_out="Write it like 10.1.0.0/16.") from None

    def passes(self, address: Address) -> bool:
        """Whether this address may be reached."""
        if any(address in network for network in self._open):
            return True
        inner = _within(address)
        if inner is not None:
            return self.passes(inner)
        local = isinstance(address, IPv6Address) and address.is_site_local
        return address.is_global and not address.is_multicast and not address.is_reserved and not local

    def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of a host, all of them allowed. Raises `invalid` for a forbidden one, `unavailable` for an unknown name."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise unavailable(f"The name {host} cannot be looked up: {getattr(error, 'strerror', None) or error}.") from None
        texts = list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))
        for text in texts:
            if not self.passes(ip_address(text)):
                raise invalid(
                    f"{host} is {text}, an address of this host's own network, which sources do not reach.",
                    place="address",
                    way_out="An operator of the server can allow a network by the setting source_networks.",
                )
        return texts


def _within(address: Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 one stands for."""
    if isinstance(address, IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.teredo[1] if address.teredo is not None else None


class _Plain(http.client.HTTPConnection):
    """To an address that was looked up before."""

    def __init__(self, host: str, port: int, addresses: list[str]) -> None:
        super().__init__(host, port, timeout=SECONDS)
        self._addresses = addresses

    def connect(self) -> None:
        """To the first of the addresses that answers."""
        self.sock = _connected(self._addresses, self.port)


class _Secure(http.client.HTTPSConnection):
    """The same with TLS; the certificate has to be of the host's name."""

    def __init__(self, host: str, port: int, addresses: list[str], context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=SECONDS, context=context)
        self._addresses = addresses
        self._tls = context

    def connect(self) -> None:
        """To the first of the addresses that answers."""
        self.sock = self._tls.wrap_socket(_connected(self._addresses, self.port), server_hostname=self.host)


def _connected(addresses: list[str], port: int) -> socket.socket:
    last: OSError = OSError("there is no address")
    for address in addresses:
        try:
            return socket.create_connection((address, port), timeout=SECONDS)
        except OSError as error:
            last = error
    raise last


class Answer:
    """An answer under way."""

    def __init__(self, response: http.client.HTTPResponse, url: str) -> None:
        self._response = response
        self._url = url
        self.status = response.status

    def header(self, name: str) -> str:
        """Of the answer; "" when it is absent."""
        return self._response.getheader(name) or ""

    def pieces(self, size: int = 1 << 18) -> Iterator[bytes]:
        """The body as it comes. Raises `unavailable` when it breaks off."""
        try:
            while piece := self._response.read(size):
                yield piece
        except (http.client.HTTPException, OSError) as error:
            raise _silent(self._url, error) from None
        if (left := getattr(self._response, "length", None)) is not None and left > 0:
            raise unavailable(f"The answer of {_host(self._url)} broke off, {left} bytes before its end.")

    def whole(self, most: int) -> bytes:
        """The body. Raises `invalid` when it is longer than `most` bytes."""
        body = b""
        for piece in self.pieces():
            body += piece
            if len(body) > most:
                raise invalid(f"The answer of {_host(self._url)} is longer than {most} bytes.")
        return body

    def fault(self) -> AlmanacError:
        """Why it is none that helps, in a sentence."""
        try:
            text = self._response.read(_SHOWN).decode("utf-8", "replace")
        except (http.client.HTTPException, OSError):
            text = ""
        words = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
        sentence = f"{_host(self._url)} answers with status {self.status}" + (f": {words}" if words else ".")
        if self.status in (401, 403):
            return invalid(sentence, place="credentials", way_out="Check the keys or headers, and what they may read.")
        if self.status in (408, 425, 429) or self.status >= 500:
            return unavailable(sentence, way_out="It is tried again by itself.")
        return invalid(sentence, place="address", way_out="Check the address.")


@contextmanager
def fetched(wall: Wall, url: str, headers: Mapping[str, str], *, follow: bool = True) -> Iterator[Answer]:
    """GETs an address. Redirects are followed through the wall, without the headers to another host. Raises `invalid`, `unavailable`."""
    sent = dict(headers)
    for _ in range(_REDIRECTS + 1):
        connection, target = _opened(wall, url)
        response = None
        try:
            try:
                connection.request("GET", target, headers={"User-Agent": "almanac", "Accept-Encoding": "identity", **sent})
                response = connection.getresponse()
            except (http.client.HTTPException, OSError, ValueError) as error:
                raise _silent(url, error) from None
            place = response.getheader("location")
            if not (follow and place and response.status in (301, 302, 303, 307, 308)):
                yield Answer(response, url)
                return
            further = urljoin(url, place)
            if urlsplit(further)[:2] != urlsplit(url)[:2]:
                sent = {}
            url = further
        finally:
            if response is not None:
                response.close()  # it holds the socket when the host closes it after the answer
            connection.close()
    raise invalid(f"{_host(url)} redirects again and again.", place="address", way_out="Give the address that it ends at.")


def _opened(wall: Wall, url: str) -> tuple[http.client.HTTPConnection, str]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        host, port = "", 0
    if not host or not port or not url.isascii():
        raise invalid(f"{url[:200]!r} is no address that can be fetched.", place="address")
    addresses = wall.addresses(host, port)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if parts.scheme == "https":
        return _Secure(host, port, addresses, ssl.create_default_context()), target
    return _Plain(host, port, addresses), target


def _silent(url: str, error: Any) -> AlmanacError:
    reason = getattr(error, "verify_message", None) or getattr(error, "strerror", None) or str(error) or type(error).__name__
    return unavailable(f"{_host(url)} does not answer: {reason}.", way_out="It is tried again by itself.")


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]
