"""The right to write the file log under a name."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from almanac.core.errors import conflict, invalid

NUMBER_US: Final = 10_000  # a segment's number is a hundredth of a second
_RESERVED: Final = 500  # numbers noted as given at a time: one fsync in 5 s
_LOCK_WAIT: Final = 0.5  # seconds; the reader holds a lock for a moment while it recovers
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


def claim(handle: int) -> bool:
    """Takes an open file for this handle, until it is closed; False when another handle has it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class NameLock:
    """The right to write under a name, and the memory of the numbers given. Ends with the process, however it ends."""

    def __init__(self, folder: Path, writer: str) -> None:
        if not _NAME.fullmatch(writer):
            raise invalid(f"{writer!r} cannot be a log writer's name.", way_out="Use letters, digits, dots, dashes and underscores.")
        self._path = folder / f"{writer}.lock"
        self._writer = writer
        self._handle = -1
        self._last = 0
        self._reserved = 0

    def holds(self) -> bool:
        """True from `take` to `release`, unless somebody removed the lock's file: then the name is open to others."""
        if self._handle >= 0:
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(self._handle), self._path.stat()):
                    return True
            os.close(self._handle)
            self._handle = -1
        return False

    def try_take(self) -> bool:
        """Takes the lock unless somebody has it. Raises OSError when the folder cannot be written."""
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        if not claim(handle):
            os.close(handle)
            return False
        self._handle = handle
        noted = os.pread(handle, 32, 0).strip()
        self._reserved = int(noted) if noted.isdigit() else 0
        self._last = max(self._last, self._reserved)
        return True

    def take(self) -> None:
        """Takes the lock. Raises `conflict` when another writer has it."""
        deadline = time.monotonic() + _LOCK_WAIT
        while not self.try_take():
            if time.monotonic() > deadline:
                raise conflict(
                    f"Another process writes the log under the name {self._writer!r}.",
                    place=str(self._path),
                    way_out="Stop it, or start this one with another data folder.",
                )
            time.sleep(0.02)

    def next_number(self, now_us: int) -> int:
        """A number that no segment of this name has had or will have again."""
        self._last = max(now_us // NUMBER_US, self._last + 1)
        if self._last > self._reserved:
            self._note(self._last + _RESERVED)
        return self._last

    def release(self) -> None:
        """Lets another writer have the name."""
        if self._handle >= 0:
            with contextlib.suppress(OSError):
                if self._last != self._reserved:
                    self._note(self._last)
            os.close(self._handle)
            self._handle = -1

    def _note(self, number: int) -> None:
        os.pwrite(self._handle, b"%020d\n" % number, 0)
        os.fdatasync(self._handle)
        self._reserved = number


@contextlib.contextmanager
def abandoned(folder: Path, writer: str) -> Iterator[bool]:
    """True inside when nobody writes under that name; the lock is held meanwhile."""
    lock = NameLock(folder, writer)
    free = lock.try_take()
    try:
        yield free
    finally:
        lock.release()
