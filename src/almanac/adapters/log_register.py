"""Which segments of the file log are under way: one small file each, beside the log and not in it.

    log-register/NAME-000176367480012    made when the segment is begun, empty; gets its counts when it is sealed; goes when it is loaded

Whoever removes a segment from the log before it was loaded leaves its entry behind, which tells what is missing. An entry is made after its
segment is durable and goes before the segment does, so that no crash leaves one without the other. Entries are not fsynced: after a power
cut one may be empty or absent, and then less is known of a loss, but never is one made up.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from almanac.core.ports import Tally

_TALLIES: Final = msgspec.json.Decoder(list[tuple[str, int, int]])
_ABSENT: Final = (FileNotFoundError, NotADirectoryError)


class Register:
    """The register of the log in `log_folder`. It must never stop the log: what cannot be written is left out."""

    def __init__(self, log_folder: Path) -> None:
        self.folder = log_folder.parent / f"{log_folder.name}-register"

    def path(self, stem: str) -> Path:
        """Where the entry of a segment lies."""
        return self.folder / stem

    def begin(self, stem: str) -> None:
        """A segment has been begun; its file is durable."""
        with contextlib.suppress(OSError):
            try:
                self.path(stem).touch(0o640)
            except FileNotFoundError:
                self.folder.mkdir(parents=True, exist_ok=True)
                self.path(stem).touch(0o640)

    def seal(self, stem: str, counts: dict[tuple[str, int], int]) -> None:
        """What the segment holds. Without an entry, as after it was loaded, nothing happens."""
        tallies = msgspec.json.encode([(project, hour, count) for (project, hour), count in sorted(counts.items())])
        with contextlib.suppress(OSError), self.path(stem).open("r+b") as entry:
            entry.write(tallies)  # a half of it does not decode, and tells as little as an empty entry
            entry.truncate()

    def forget(self, stems: Iterable[str]) -> None:
        """These are loaded or were empty: durable when this returns, so that their files may go. Raises OSError."""
        found = False
        for stem in stems:
            with contextlib.suppress(*_ABSENT):
                self.path(stem).unlink()
                found = True
        if found:
            handle = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def has(self, stem: str) -> bool:
        """Whether the segment is under way."""
        return self.path(stem).exists()

    def stems(self) -> set[str]:
        """All that are under way."""
        try:
            return set(os.listdir(self.folder))  # noqa: PTH208 - as in `log_segments.listing`
        except _ABSENT:
            return set()

    def tallies(self, stem: str) -> tuple[Tally, ...]:
        """What a sealed segment held; empty when nobody knows."""
        try:
            return tuple(Tally(*tally) for tally in _TALLIES.decode(self.path(stem).read_bytes()))
        except (*_ABSENT, msgspec.DecodeError, UnicodeDecodeError):
            return ()
