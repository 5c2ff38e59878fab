"""What a user agent and an address say: computed once for each distinct value, kept in tables of the engine that the load joins."""

from __future__ import annotations

import csv
import ipaddress
import re
import socket
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Protocol

import maxminddb
import numpy as np
import structlog
from ua_parser import parse

from almanac.core.errors import invalid

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Agent:
    """The parts of a user agent by ua-parser's rules."""

    browser: str = ""
    browser_version: str = ""
    os: str = ""
    os_version: str = ""
    device: str = ""  # Desktop, Mobile, Tablet, TV or the device's family; Bot for crawlers
    is_bot: bool = False


@dataclass(frozen=True)
class Place:
    """Where an address is, as far as the file knows."""

    country: str = ""  # ISO 3166 two letters
    region: str = ""
    city: str = ""


class Places(Protocol):
    """Finds the place of an address."""

    def find(self, address: str) -> Place:
        """An unknown or odd address is an empty place."""
        ...


_COUNTRIES: Final = Path(__file__).with_name("countries.npz")
_MAPPED: Final = bytes(10) + b"\xff\xff"  # how a socket of both kinds writes an IPv4 address

# Crawlers, monitors and scripts that the rules do not name: words, an address to complain to, the libraries of scripts. No word that stands
# in a browser's name ("search"), no library that apps for phones send with ("okhttp"), and not the phones of the maker Cubot.
_BOT: Final = re.compile(
    r"(?<!cu)bot|crawl|spider|slurp|headless|lighthouse|monitor|scanner|validator|checker|checklink|fetch|archive|preview|uptime|pingdom"
    r"|externalhit|externalagent|mediapartners|phantomjs|puppeteer|playwright|selenium|https?:/|[+(]www[.]|imageproxy|feedfetcher|scrap"
    r"|libwww|^(?:python|java/|perl|ruby|php|axios|aiohttp|node|got |undici|apache-|go-http|curl|wget|reqwest|faraday|guzzle|colly|w3c"
    r"|newspaper)"
)


def agent_of(text: str) -> Agent:
    """The parts of a user agent; empty parts where the rules know nothing."""
    result = parse(text)
    browser = result.user_agent.family if result.user_agent else ""
    version = result.user_agent.major or "" if result.user_agent else ""
    os = result.os.family if result.os else ""
    os_version = ".".join(part for part in (result.os.major, result.os.minor) if part) if result.os else ""
    family = result.device.family if result.device else ""
    lower = text.lower()
    is_bot = family == "Spider" or _BOT.search(lower) is not None
    return Agent(browser, version, os, os_version, _device(lower, os, is_bot), is_bot)


def _device(lower: str, os: str, is_bot: bool) -> str:
    if is_bot:
        return "Bot"
    if "ipad" in lower or "tablet" in lower or ("android" in lower and "mobile" not in lower and "tv" not in lower):
        return "Tablet"
    if "tv" in lower and ("smart" in lower or "android tv" in lower or "appletv" in lower or "web0s" in lower):
        return "TV"
    if "mobi" in lower or "iphone" in lower or "ipod" in lower:
        return "Mobile"
    return "Desktop" if os in ("Windows", "Mac OS X", "Linux", "Ubuntu", "Chrome OS", "Fedora", "Debian", "FreeBSD") else ""


def open_places(file: str) -> Places:
    """The places of a .mmdb or .csv file (`first,last,country[,region,city]`, addresses as text or numbers); without a file those that
    come with the package."""
    if not file:
        return Registered()
    path = Path(file)
    if not path.is_file():
        raise invalid(f"The geo file {file} does not exist.", place="geo_file")
    if path.suffix == ".mmdb":
        return _Mmdb(path)
    if path.suffix == ".csv":
        return _Csv(path)
    raise invalid(f"The geo file {file} is neither .mmdb nor .csv.", place="geo_file")


class Registered:
    """The countries that the registries of addresses name, as `python -m tools.countries` packed them: no regions, no cities.

    Read at the first look-up, in some 10 ms to 2 MB. IPv6 goes by the first 64 bits, the smallest network that a country is named for.
    """

    @cached_property
    def source(self) -> str:
        """The table and the version that the countries are from."""
        with np.load(_COUNTRIES, allow_pickle=False) as file:
            return str(file["source"])

    @cached_property
    def _tables(self) -> dict[int, tuple[memoryview, bytes, list[Place]]]:
        with np.load(_COUNTRIES, allow_pickle=False) as file:
            places = [Place(str(name)) for name in file["names"]]
            return {kind: (memoryview(file[f"starts{kind}"]), file[f"countries{kind}"].tobytes(), places) for kind in (4, 6)}

    def find(self, address: str) -> Place:
        """See `Places.find`. Private and reserved addresses have no country."""
        try:
            if ":" not in address:
                kind, number = 4, int.from_bytes(socket.inet_pton(socket.AF_INET, address))
            else:
                packed = socket.inet_pton(socket.AF_INET6, address)
                if packed.startswith(_MAPPED):
                    kind, number = 4, int.from_bytes(packed[12:])
                else:
                    kind, number = 6, int.from_bytes(packed[:8])
        except (OSError, ValueError):
            return Place()
        starts, countries, places = self._tables[kind]
        return places[countries[bisect_right(starts, number) - 1]]


class _Mmdb:
    def __init__(self, path: Path) -> None:
        try:
            self._reader = maxminddb.open_database(str(path))
        except (maxminddb.InvalidDatabaseError, OSError) as error:
            raise invalid(f"The geo file cannot be read: {error}.", place="geo_file") from None
        self._told = False

    def find(self, address: str) -> Place:
        """See `Places.find`. A damaged spot of the file is an unknown place: it must not hold up the load."""
        if address[:7].lower() == "::ffff:" and "." in address:
            address = address[7:]  # not every file knows IPv4 addresses by this name
        try:
            found: Any = self._reader.get(address)
        except ValueError:
            return Place()
        except maxminddb.InvalidDatabaseError as error:
            if not self._told:
                self._told = True
                log.warning("the geo file is damaged; some addresses stay without a place", error=str(error))
            return Place()
        regions = found.get("subdivisions") if isinstance(found, dict) else None
        country = _inner(found, "country_code") or _inner(found, "country", "iso_code") or _inner(found, "country")
        return Place(
            country, _inner(regions[0], "iso_code") if isinstance(regions, list) and regions else "", _inner(found, "city", "names", "en")
        )


def _inner(record: object, *names: str) -> str:
    """The text at the end of this path, "" where there is none."""
    for name in names:
        record = record.get(name) if isinstance(record, dict) else None
    return record if isinstance(record, str) else ""


class _Csv:
    def __init__(self, path: Path) -> None:
        rows: list[tuple[tuple[int, int], int, Place]] = []
        with path.open(newline="") as file:
            for number, row in enumerate(csv.reader(file), 1):
                try:
                    first, last = _number(row[0]), _number(row[1])
                except (ValueError, IndexError):
                    if number == 1:
                        continue  # a header
                    raise invalid("This line has no two addresses.", place=f"{path.name}, line {number}") from None
                rows.append((first, last[1], Place(*[*row[2:5], "", "", ""][:3])))
        rows.sort(key=lambda item: item[0])
        self._firsts = [row[0] for row in rows]
        self._rows = rows

    def find(self, address: str) -> Place:
        try:
            wanted = _number(address)
        except ValueError:
            return Place()
        at = bisect_right(self._firsts, wanted) - 1
        if at < 0:
            return Place()
        (version, _), last, place = self._rows[at]
        return place if version == wanted[0] and wanted[1] <= last else Place()


def _number(text: str) -> tuple[int, int]:
    if text.isdigit():
        return (4 if int(text) < 1 << 32 else 6, int(text))
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped  # how a socket of both kinds writes an IPv4 address
    return (address.version, int(address))
