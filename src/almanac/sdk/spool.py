"""Events on the disk until the server has them, so that they survive the app.

    FOLDER/KEY/ROOM/lock           a room for each process; whoever lives holds its lock
    FOLDER/KEY/ROOM/00000001.jsonl a batch: one event a line, added to, sent (then it is 00000001.tried.jsonl), removed

`KEY` is a digest of the write key, so that a folder may serve several projects. A process sends its own batches, and those in rooms whose
process is gone: the lock of such a room can be had. A batch that is sent twice, because the app died before it was removed, is counted
once by the server, which knows the ids. A line that was cut off by a crash has no line end, and is left out. What was written survives
the end of the app, however hard; a power cut may take the last seconds.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

KEEP_SECONDS: Final = 7 * 86400.0  # the server knows the ids of so long; older batches might be counted twice
_LOCK: Final = "lock"
_TRIED: Final = ".tried.jsonl"


@dataclass
class Batch:
    """Events that go together. `path`: its file, None in memory. `own`: taken in this process. `missing`: events that the file should
    hold too."""

    lines: list[bytes]
    own: bool = True
    path: Path | None = None
    missing: int = 0


class Room:
    """One process's part of the spool, open for as long as it is used. Raises `OSError`."""

    def __init__(self, folder: Path, *, batch_events: int, batch_bytes: int) -> None:
        self._most_events = batch_events
        self._most_bytes = batch_bytes
        self._guard = threading.Lock()
        self._number = 0
        self._file = -1
        self._events = self._bytes = 0  # in the batch that is being added to
        self.batches: deque[tuple[Path, int]] = deque()  # path and events, oldest first; the last one may still be open
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            self.path = folder / f"{time.time_ns() // 1_000_000}-{os.getpid()}-{secrets.token_hex(4)}"
            self.path.mkdir(mode=0o700)
            lock = locked(self.path)
            if lock is not None:  # else another process took the new room for an abandoned one
                self._lock = lock
                return

    def add(self, lines: Sequence[bytes]) -> int:
        """Appends events; answers how many are written, fewer than all when the disk gets full. Raises `OSError` when none is."""
        done = 0
        with self._guard:
            for piece in self._pieces(lines):
                try:
                    self._append(piece)
                except OSError:
                    if done:
                        return done
                    raise
                done += len(piece)
        return done

    def _pieces(self, lines: Sequence[bytes]) -> Iterator[list[bytes]]:
        """The lines by the batch that they go to."""
        piece: list[bytes] = []
        size = 0
        for line in lines:
            if self._events + len(piece) >= self._most_events or (
                self._bytes + size + len(line) >= self._most_bytes and self._events + len(piece) > 0
            ):
                if piece:
                    yield piece
                self._seal()
                piece, size = [], 0
            piece.append(line)
            size += len(line) + 1
        if piece:
            yield piece

    def _append(self, piece: list[bytes]) -> None:
        data = b"".join(line + b"\n" for line in piece)
        if self._file < 0:
            self._number += 1
            path = self.path / f"{self._number:08d}.jsonl"
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            self.batches.append((path, 0))
        if os.write(self._file, data) < len(data):
            os.ftruncate(self._file, self._bytes)
            raise OSError("the disk is full")
        self._events += len(piece)
        self._bytes += len(data)
        self.batches[-1] = (self.batches[-1][0], self._events)
        if self._events >= self._most_events:
            self._seal()

    def _seal(self) -> None:
        """The next event begins another batch."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self._events = self._bytes = 0

    @property
    def full_batch(self) -> bool:
        """Whether a batch is waiting that nothing is added to any more."""
        return len(self.batches) > (self._file >= 0)

    @property
    def waiting(self) -> int:
        """Events in it."""
        with self._guard:
            return sum(events for _, events in self.batches)

    def first(self) -> Batch | None:
        """The oldest batch, to which nothing is added from now on."""
        with self._guard:
            if not self.batches:
                return None
            if len(self.batches) == 1:
                self._seal()
            path, events = self.batches[0]
        lines = read(path)
        return Batch(lines, path=path, missing=events - len(lines))

    def settled(self, batch: Batch) -> None:
        """The server has it, or never will."""
        with self._guard:
            self.batches.popleft()
        if batch.path is not None:
            remove(batch.path)

    def close(self) -> None:
        """Leaves what is not sent for another process, or the next start."""
        with self._guard:
            self._seal()
            if self.batches:
                os.close(self._lock)
            else:
                clear(self.path, self._lock)

    def abandon(self) -> None:
        """In a child after a fork: the room stays the parent's."""
        for handle in (self._lock, self._file):
            if handle >= 0:
                with contextlib.suppress(OSError):
                    os.close(handle)


class Found:
    """Batches that processes left behind which are gone. `folder`: that of the key."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._room: Path | None = None
        self._lock = -1
        self._paths: deque[Path] = deque()

    def first(self) -> Batch | None:
        """The oldest batch of the room at hand, or of another abandoned one."""
        while True:
            while self._paths:
                lines = read(self._paths[0])
                if lines:
                    return Batch(lines, own=False, path=self._paths[0])
                remove(self._paths.popleft())
            if self._room is not None:
                clear(self._room, self._lock)
                self._room = None
            if not self._take_room():
                return None

    def _take_room(self) -> bool:
        with contextlib.suppress(OSError):
            for room in sorted(self._folder.iterdir()):
                lock = locked(room, make=False)
                if lock is not None:
                    self._room, self._lock = room, lock
                    self._paths = deque(sorted(room.glob("*.jsonl")))
                    return True
        return False

    def settled(self, batch: Batch) -> None:
        """The server has it, or never will."""
        self._paths.popleft()
        if batch.path is not None:
            remove(batch.path)

    def close(self) -> None:
        """Leaves the rest to others."""
        if self._room is not None:
            with contextlib.suppress(OSError):
                os.close(self._lock)
            self._room = None
            self._paths.clear()


def folder_of(spool: Path, key: str) -> Path:
    """Where the batches of a write key are."""
    return spool / hashlib.sha256(key.encode()).hexdigest()[:16]


def size_of(folder: Path) -> int:
    """Bytes of all batches in a folder, of this and other processes."""
    total = 0
    with contextlib.suppress(OSError):
        for file in folder.glob("*/*.jsonl"):
            with contextlib.suppress(OSError):
                total += file.stat().st_size
    return total


def tried(batch: Batch) -> None:
    """It is sent for the first time in this moment: the file's name and time say so from now on."""
    if batch.path is not None and not batch.path.name.endswith(_TRIED):
        path = batch.path.with_suffix(_TRIED)
        with contextlib.suppress(OSError):
            os.utime(batch.path)
            batch.path = batch.path.rename(path)


def too_old(batch: Batch) -> bool:
    """Whether it was sent so long ago, perhaps with success, that the server may have forgotten its ids."""
    if batch.path is None or not batch.path.name.endswith(_TRIED):
        return False
    with contextlib.suppress(OSError):
        return time.time() - batch.path.stat().st_mtime > KEEP_SECONDS
    return False


def read(path: Path) -> list[bytes]:
    """The whole lines of a file; none when it cannot be read."""
    try:
        data = path.read_bytes()
    except OSError:
        return []
    return [line for line in data[: data.rfind(b"\n") + 1].split(b"\n") if line[:1] == b"{" and line[-1:] == b"}"]


def remove(path: Path) -> None:
    """Removes a file, if it is there."""
    with contextlib.suppress(OSError):
        path.unlink()


def clear(room: Path, lock: int) -> None:
    """Removes a room whose lock this process holds."""
    shutil.rmtree(room, ignore_errors=True)
    with contextlib.suppress(OSError):
        os.close(lock)


def locked(room: Path, *, make: bool = True) -> int | None:
    """A handle that holds the lock of a room; None when a living process holds it, or the room is gone."""
    path = room / _LOCK
    try:
        handle = os.open(path, os.O_RDWR | (os.O_CREAT if make else 0), 0o600)
    except OSError:
        return None
    try:
        _lock(handle)
        if os.path.samestat(os.fstat(handle), path.stat()):  # else the room was cleared between the two
            return handle
    except OSError:
        pass
    os.close(handle)
    return None


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(handle: int) -> None:
        # TRICKY: not lockf, whose lock is lost as soon as the process closes any other handle of the file.
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
