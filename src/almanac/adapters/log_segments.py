"""How the file log lies on disk: its names, its tallies, sealing and recovery.

    NAME-000176367480012.open    being written; may end in a torn line
    NAME-000176367480012.log     sealed; never changes again
    NAME-000176367480012.tally   how many bytes and events of which project and hour the segment has
    NAME.lock                    held by the writer of that name; holds the number up to which names may have been given

Beside the folder lies the register of what is under way (`log_register`), which tells when a segment was taken away.

The number is the hundredth of a second, since 1970, in which the segment was begun, or the one after the last; the lock file remembers a
bound of it, so that no name is ever given twice, whatever the clock does.

Once a segment has a tally file it is final at the size that the tally names, even before it is renamed. The tally itself is not fsynced:
one that does not fit its segment is reckoned again, from the register or the lines.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from almanac.adapters.durable import sync_folder
from almanac.adapters.log_lock import NUMBER_US, claim
from almanac.adapters.log_register import Register
from almanac.core.errors import invalid
from almanac.core.event import LINE_ENCODER, Event
from almanac.core.ports import Tally

HOUR: Final = 3600
_HOUR_US: Final = HOUR * 1_000_000
_STEM: Final = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.-]{0,99})-(\d{12})")

Counts = dict[tuple[str, int], int]  # events by project and hour


class _Head(msgspec.Struct, array_like=True, gc=False):
    """The beginning of a log line, as far as counting needs it; the rest is skipped."""

    project: str
    event_id: msgspec.Raw
    kind: msgspec.Raw
    name: msgspec.Raw
    received_us: int


class _Sidecar(msgspec.Struct, frozen=True):
    size: int
    tallies: list[tuple[str, int, int]]


_HEAD: Final = msgspec.json.Decoder(_Head)
_SIDECAR: Final = msgspec.json.Decoder(_Sidecar)


# ---------------------------------------------------------------- lines and tallies


def encode(events: Sequence[Event]) -> bytes:
    """The events as log lines. Raises `invalid` for text that no JSON can hold."""
    try:
        lines = LINE_ENCODER.encode_lines(events)
        if lines.count(b"\n") != len(events):
            # TRICKY: raw JSON travels verbatim, and a sender may have printed it over several lines. In JSON a line break is white space.
            lines = b"".join(LINE_ENCODER.encode(event).replace(b"\n", b" ") + b"\n" for event in events)
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise invalid("An event holds something that JSON cannot carry.", way_out="Send text as valid Unicode.") from None
    return lines


def count_events(events: Sequence[Event], into: Counts) -> None:
    """Adds these events to the counts. The usual batch is of one project and hour and costs 40 ns an event."""
    projects = {event.project for event in events}
    times = [event.received_us for event in events]
    if len(projects) == 1 and (hour := min(times) // _HOUR_US) == max(times) // _HOUR_US:
        key = (projects.pop(), hour * HOUR)
        into[key] = into.get(key, 0) + len(times)
        return
    for event in events:
        key = (event.project, event.received_us // _HOUR_US * HOUR)
        into[key] = into.get(key, 0) + 1


def count_lines(lines: bytes, hour: int) -> Counts:
    """Counts log lines. One that cannot be read counts for project "" in `hour`."""
    counts: Counter[tuple[str, int]] = Counter()
    for line in lines.split(b"\n"):
        if line and not line.isspace():
            try:
                head = _HEAD.decode(line)
                counts[head.project, head.received_us // _HOUR_US * HOUR] += 1
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                counts["", hour] += 1
    return counts


def as_tallies(counts: Counts) -> tuple[Tally, ...]:
    """Counts as the port's tallies, in order."""
    return tuple(Tally(project, hour, accepted) for (project, hour), accepted in sorted(counts.items()))


# ------------------------------------------------------------------------- names


@dataclass(frozen=True, order=True)
class Entry:
    """A segment in the folder; ordered by age, then by its writer's name."""

    number: int
    writer: str
    sealed: bool

    @property
    def stem(self) -> str:
        """The segment's name."""
        return f"{self.writer}-{self.number:012d}"

    @property
    def began(self) -> float:
        """When it was begun, in seconds since 1970."""
        return self.number * NUMBER_US / 1e6

    @property
    def hour(self) -> int:
        """The hour in which it was begun."""
        return int(self.began) // HOUR * HOUR


def parse(stem: str, *, sealed: bool) -> Entry | None:
    """The segment of that name, or None when it is no segment's name."""
    match = _STEM.fullmatch(stem)
    return Entry(int(match.group(2)), match.group(1), sealed) if match else None


def listing(folder: Path) -> list[Entry]:
    """All segments, the oldest first."""
    found: dict[str, Entry] = {}
    # TRICKY: a file that is renamed while a folder is listed may be missed, so the folder is listed twice.
    for _ in range(2):
        with contextlib.suppress(FileNotFoundError):
            for file in os.listdir(folder):  # noqa: PTH208 - a Path for each of thousands of files costs more than the listing
                stem, _, suffix = file.rpartition(".")
                if suffix in ("log", "open") and (entry := parse(stem, sealed=suffix == "log")) and (entry.sealed or stem not in found):
                    found[stem] = entry
    return sorted(found.values())


# ------------------------------------------------------------------ sealing, recovery


def read_sidecar(folder: Path, stem: str) -> tuple[int, tuple[Tally, ...]] | None:
    """Final size and tallies of a segment, or None when there is no readable tally file."""
    try:
        sidecar = _SIDECAR.decode((folder / f"{stem}.tally").read_bytes())
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return sidecar.size, tuple(Tally(*tally) for tally in sidecar.tallies)


def write_sidecar(folder: Path, stem: str, size: int, counts: Counts) -> None:
    """States what the segment holds. From now on it is final at `size`."""
    draft = folder / f"{stem}.tally-draft"
    try:
        draft.write_bytes(
            msgspec.json.encode(_Sidecar(size, [(project, hour, count) for (project, hour), count in sorted(counts.items())]))
        )
        draft.rename(folder / f"{stem}.tally")
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


def rename_sealed(folder: Path, stem: str) -> None:
    """The last step of sealing."""
    (folder / f"{stem}.open").rename(folder / f"{stem}.log")
    with contextlib.suppress(OSError):  # it has its name; after a power cut it may have its old one, and is recovered
        sync_folder(folder)


def recover(folder: Path, writer: str) -> None:
    """Seals what a writer left behind: cuts the torn tail, counts, renames. The caller holds the lock of that name."""
    for entry in listing(folder):
        if entry.writer == writer and not entry.sealed:
            _recover_one(folder, entry)
    for leftover in folder.glob(f"{writer}-*.tally*"):
        of = parse(leftover.stem, sealed=False)
        if of and of.writer == writer and (leftover.suffix == ".tally-draft" or not leftover.with_suffix(".log").exists()):
            leftover.unlink(missing_ok=True)


def _recover_one(folder: Path, entry: Entry) -> None:
    path, register = folder / f"{entry.stem}.open", Register(folder)
    with path.open("r+b") as file:
        if not claim(file.fileno()):
            return  # its writer lives: somebody removed the lock file under it
        lines = file.read()
        sidecar = read_sidecar(folder, entry.stem)
        whole = sidecar[0] if sidecar and sidecar[0] <= len(lines) else lines.rfind(b"\n") + 1
        if not whole:
            register.forget([entry.stem])
            path.unlink()
            return
        file.truncate(whole)
        os.fsync(file.fileno())
        counts = count_lines(lines[:whole], entry.hour)
        with contextlib.suppress(OSError):  # a full disk: the reader counts the lines instead
            write_sidecar(folder, entry.stem, whole, counts)
        register.seal(entry.stem, counts)
        rename_sealed(folder, entry.stem)
