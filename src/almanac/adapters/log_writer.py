"""Writes segments of the file log: one file at a time, every write durable before it returns, nothing kept of a write that failed.

`SegmentWriter` is synchronous and used by one thread at a time; `log_file.FileLogWriter` puts an event loop in front of it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from almanac.adapters import log_segments as segments
from almanac.adapters.durable import sync_folder
from almanac.adapters.log_lock import NameLock, claim
from almanac.adapters.log_register import Register
from almanac.adapters.log_segments import Counts
from almanac.core.errors import unavailable

_LOOK_SECONDS: Final = 0.25  # how old the knowledge of the folder's size may be: counting thousands of files takes a while
_LOOK_BYTES: Final = 8 << 20  # and how much may have been written meanwhile


@dataclass
class _Open:
    """The segment being written. `size` is what is durable of it."""

    stem: str
    path: Path
    handle: int
    began: float  # monotonic
    size: int = 0
    counts: Counts = field(default_factory=dict[tuple[str, int], int])


class Room:
    """Watches that the log keeps within its limit and the disk keeps its reserve (both in bytes)."""

    def __init__(self, folder: Path, log_limit: int, disk_reserve: int) -> None:
        self._folder = folder
        self._log_limit = log_limit
        self._disk_reserve = disk_reserve
        self._looked = float("-inf")
        self._used = 0
        self._free = 0
        self._written = 0

    def wrote(self, size: int) -> None:
        """Counts what was written since the last look."""
        self._written += size

    def check(self, size: int) -> None:
        """Raises `unavailable` when `size` further bytes do not fit."""
        age = time.monotonic() - self._looked
        if age > _LOOK_SECONDS or self._written > _LOOK_BYTES:
            self._look()
        used, free = self._used + self._written, self._free - self._written
        if used + size > self._log_limit:
            raise unavailable(
                f"The event log is full: it holds {used:,} of {self._log_limit:,} bytes.",
                way_out="It empties as events are loaded: check that the load runs, or raise log_limit.",
            )
        if free - size < self._disk_reserve:
            raise unavailable(
                f"The disk of the event log is nearly full: {max(free, 0):,} bytes are free, {self._disk_reserve:,} are its reserve.",
                way_out="Free disk space, or lower disk_reserve.",
            )

    def _look(self) -> None:
        used = 0
        with os.scandir(self._folder) as files:
            for file in files:
                with contextlib.suppress(FileNotFoundError):  # sealed or loaded in this moment
                    used += file.stat().st_size
        disk = os.statvfs(self._folder)
        self._used, self._free, self._written = used, disk.f_bavail * disk.f_frsize, 0
        self._looked = time.monotonic()


class SegmentWriter:
    """The one writer of a name in a log folder. Methods raise OSError as the disk does, and `unavailable` when there is no room."""

    def __init__(
        self, folder: Path, name: str, *, segment_size: int, segment_age: float, log_limit: int, disk_reserve: int, clock: Callable[[], int]
    ) -> None:
        self._folder = folder
        self._name = name
        self._segment_size = segment_size
        self._segment_age = segment_age
        self._clock = clock
        self._lock = NameLock(folder, name)
        self._register = Register(folder)
        self._prepared = False
        self._room = Room(folder, log_limit, disk_reserve)
        self._open: _Open | None = None
        self._unsealed: list[_Open] = []  # final, but the disk did not let us seal them yet
        self.sync_last = 0.0
        self.sync_most = 0.0

    @property
    def due(self) -> float | None:
        """When the segment has to be sealed for its age (monotonic seconds); None when nothing waits."""
        if self._unsealed:
            return time.monotonic() + self._segment_age
        return self._open.began + self._segment_age if self._open else None

    @property
    def open_bytes(self) -> int:
        """Durable bytes of the segment being written."""
        current = self._open
        return current.size if current else 0

    def prepare(self) -> None:
        """Makes the folder, takes the name and recovers what its last writer left. May be repeated, as somebody may remove the folder.
        Raises `conflict` for a name in use."""
        if not self._lock.holds():
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock.take()
        if not self._prepared:
            segments.recover(self._folder, self._name)
            self._prepared = True

    def write(self, lines: bytes, counts: Counts) -> None:
        """Appends whole lines; they are durable when this returns. When it raises, nothing of them stays."""
        if not self._open:
            self.prepare()
        self._room.check(len(lines))
        current = self._open = self._open or self._begin()
        try:
            left = memoryview(lines)
            while left:
                left = left[os.write(current.handle, left) :]
            started = time.perf_counter()
            os.fdatasync(current.handle)
            self.sync_last = time.perf_counter() - started
            self.sync_most = max(self.sync_most, self.sync_last)
            if not os.fstat(current.handle).st_nlink:  # else it would be acknowledged into nowhere
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(current.path))
        except OSError:
            # After a failed fsync the kernel forgets what it could not write: this file is not to be written again.
            self._open = None
            self._finish(current)
            raise
        current.size += len(lines)
        self._room.wrote(len(lines))
        for key, count in counts.items():
            current.counts[key] = current.counts.get(key, 0) + count

    def seal_if_due(self) -> None:
        """Seals the segment when it is big or old enough, and what could not be sealed before."""
        self._seal(lambda current: current.size >= self._segment_size or time.monotonic() >= current.began + self._segment_age)

    def close(self) -> None:
        """Seals everything and lets go of the name. What the disk does not let us seal is recovered when the name is used again."""
        self._seal(lambda _: True)
        for current in self._unsealed:
            os.close(current.handle)
        self._unsealed.clear()
        self._lock.release()

    def _seal(self, wanted: Callable[[_Open], bool]) -> None:
        waiting, self._unsealed = self._unsealed, []
        for current in waiting:
            self._finish(current)
        if self._open and wanted(self._open):
            current, self._open = self._open, None
            self._finish(current)

    def _begin(self) -> _Open:
        while True:
            number = self._lock.next_number(self._clock())
            stem = f"{self._name}-{number:012d}"
            path = self._folder / f"{stem}.open"
            if not (self._folder / f"{stem}.log").exists() and not self._register.has(stem):
                with contextlib.suppress(FileExistsError):
                    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
                    claim(handle)
                    break
        try:
            sync_folder(self._folder)
        except OSError:
            os.close(handle)
            path.unlink()
            raise
        self._register.begin(stem)
        return _Open(stem, path, handle, time.monotonic())

    def _finish(self, current: _Open) -> None:
        """Seals a segment at its durable size, or keeps it for the next try."""
        try:
            self._cut(current)
            if current.size:
                self._register.seal(current.stem, current.counts)
                segments.rename_sealed(self._folder, current.stem)
            else:
                self._register.forget([current.stem])
                current.path.unlink(missing_ok=True)
                current.path.with_suffix(".tally").unlink(missing_ok=True)
        except FileNotFoundError:  # somebody removed it: there is nothing to seal, and the register tells so
            os.close(current.handle)
            with contextlib.suppress(OSError):
                current.path.with_suffix(".tally").unlink(missing_ok=True)
        except OSError:
            self._unsealed.append(current)
        else:
            os.close(current.handle)

    def _cut(self, current: _Open) -> None:
        """Removes whatever lies beyond the durable size; where the disk refuses that, the tally states the size."""
        torn = os.fstat(current.handle).st_size != current.size
        if torn:
            with contextlib.suppress(OSError):
                os.ftruncate(current.handle, current.size)
                torn = False
        if current.size or torn:
            try:
                segments.write_sidecar(self._folder, current.stem, current.size, current.counts)
            except OSError:
                if torn:
                    raise  # without a cut or a tally its end would be counted
