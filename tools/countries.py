"""Makes `almanac/ingest/countries.npz`, the countries of addresses that come with the package, from a table of address ranges.

    npm pack @ip-location-db/asn-country && tar xzf *.tgz
    python -m tools.countries package/asn-country

Reads `<prefix>-ipv4-num.csv` and `<prefix>-ipv6-num.csv` (`first,last,country`, addresses as numbers) and the version in the
`package.json` beside them. docs/decisions/0005 says why this table; its licence asks for the credit that stands in NOTICE.
"""

from __future__ import annotations

import csv
import ipaddress
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

TARGET: Final = Path(__file__).parents[1] / "src" / "almanac" / "ingest" / "countries.npz"
Range = tuple[int, int, str]  # first and last address, country

# Addresses that are nobody's on the internet, by IANA's two registries of special-purpose addresses; the table names countries for some.
_RESERVED: Final = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24"),
    *("192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"),
    *("::/3", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "4000::/2", "8000::/1"),
)


def reserved(version: int) -> list[Range]:
    """Ranges that have no country."""
    networks = [network for network in map(ipaddress.ip_network, _RESERVED) if network.version == version]
    return [(int(network.network_address), int(network.broadcast_address), "") for network in networks]


def ranges(file: Path) -> Iterator[Range]:
    """The rows of a table."""
    with file.open(newline="") as lines:
        for first, last, country in csv.reader(lines):
            yield int(first), int(last), country


def starts_of(found: Iterable[Range], without: Iterable[Range], shift: int) -> list[tuple[int, str]]:
    """Where each country begins, in order; "" where none is known. Of ranges that overlap, the one that begins first keeps its place.

    Addresses lose their last `shift` bits. Raises `ValueError` for ranges out of order.
    """
    pieces: list[Range] = []
    next_ = 0
    for first, last, country in found:
        if pieces and first < pieces[-1][0]:
            raise ValueError(f"The range at {first} is out of order.")
        if last >= next_:
            pieces.append((max(first, next_), last, country))
            next_ = last + 1
    for low, high, _ in without:
        pieces = [part for piece in pieces for part in _outside(piece, low, high)]
    starts: dict[int, str] = {}
    next_ = 0
    for first, last, country in pieces:
        if first > next_:
            starts[next_ >> shift] = ""
        starts[first >> shift] = country
        next_ = last + 1
    starts.setdefault(next_ >> shift, "")
    merged: list[tuple[int, str]] = []
    for start, country in sorted(starts.items()):
        if not merged or merged[-1][1] != country:
            merged.append((start, country))
    return merged


def _outside(piece: Range, low: int, high: int) -> Iterator[Range]:
    first, last, country = piece
    if first < low:
        yield first, min(last, low - 1), country
    if last > high:
        yield max(first, high + 1), last, country


def main(prefix: str) -> None:
    """Writes the file and prints what is in it."""
    package = json.loads((Path(prefix).parent / "package.json").read_text())
    kinds: tuple[tuple[int, int, npt.DTypeLike], ...] = ((4, 0, np.uint32), (6, 64, np.uint64))
    found = {kind: starts_of(ranges(Path(f"{prefix}-ipv{kind}-num.csv")), reserved(kind), shift) for kind, shift, _ in kinds}
    names = sorted({country for starts in found.values() for _, country in starts})
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "names": np.array(names),
        "source": np.array(f"{package['name']} {package['version']}"),
    }
    for kind, _, type_ in kinds:
        arrays[f"starts{kind}"] = np.array([start for start, _ in found[kind]], dtype=type_)
        arrays[f"countries{kind}"] = np.array([names.index(country) for _, country in found[kind]], dtype=np.uint8)
    np.savez_compressed(TARGET, allow_pickle=False, **arrays)
    counts = {kind: len(starts) for kind, starts in found.items()}
    print(f"{arrays['source']}: {counts} starts, {len(names)} names, {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main(sys.argv[1])
