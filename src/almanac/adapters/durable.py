"""Making what was written to a disk survive a power cut."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Final

from almanac.core.errors import unavailable

_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def sync_folder(folder: Path) -> None:
    """Makes names in the folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file_system(folder: Path) -> None:
    """Makes everything durable that was written to the file system of `folder`. Raises `unavailable` when the disk fails."""
    if not hasattr(_LIBC, "syncfs"):  # only Linux has it
        os.sync()
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if _LIBC.syncfs(handle) != 0:
            raise unavailable(
                f"The disk of the event store fails: {os.strerror(ctypes.get_errno())}.",
                way_out="Check the disk and its free space; the load goes on by itself.",
            )
    finally:
        os.close(handle)
