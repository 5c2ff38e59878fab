"""What a user agent and an address say: computed once for each distinct value, kept in tables of the engine that the load joins."""

from __future__ import annotations

import csv
import ipaddress
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import maxminddb
from ua_parser import parse

from almanac.core.errors import invalid


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


def open_places(file: str) -> Places | None:
    """The places of a .mmdb or .csv file (`first,last,country[,region,city]`, addresses as text or numbers); None without a file."""
    if not file:
        return None
    path = Path(file)
    if not path.is_file():
        raise invalid(f"The geo file {file} does not exist.", place="geo_file")
    if path.suffix == ".mmdb":
        return _Mmdb(path)
    if path.suffix == ".csv":
        return _Csv(path)
    raise invalid(f"The geo file {file} is neither .mmdb nor .csv.", place="geo_file")


class _Mmdb:
    def __init__(self, path: Path) -> None:
        try:
            self._reader = maxminddb.open_database(str(path))
        except (maxminddb.InvalidDatabaseError, OSError) as error:
            raise invalid(f"The geo file cannot be read: {error}.", place="geo_file") from None

    def find(self, address: str) -> Place:
        try:
            found: Any = self._reader.get(address)
        except ValueError:
            return Place()
        if not isinstance(found, dict):
            return Place()
        country = found.get("country_code") or (found.get("country") or {}).get("iso_code") or ""
        subdivisions: Sequence[Any] = found.get("subdivisions") or [{}]
        return Place(
            str(country), str(subdivisions[0].get("iso_code") or ""), str(((found.get("city") or {}).get("names") or {}).get("en") or "")
        )


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
