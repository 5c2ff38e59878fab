"""What an error of the disk means for those who write to the log or read it."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from typing import Final

from almanac.core.errors import AlmanacError, unavailable

_CAUSES: Final = {
    errno.ENOSPC: ("The disk of the event log is full.", "Free disk space; senders come back by themselves."),
    errno.EDQUOT: ("The disk quota of the event log is used up.", "Free disk space or raise the quota; senders come back by themselves."),
    errno.EFBIG: ("A file of the event log may not grow further.", "Raise the limit of file sizes (ulimit -f), or lower segment_size."),
    errno.EROFS: ("The folder of the event log is read-only.", "Mount its disk for writing."),
    errno.EACCES: ("The folder of the event log may not be written.", "Give this user the right to write it."),
    errno.EPERM: ("The folder of the event log may not be written.", "Give this user the right to write it."),
    errno.ENOENT: ("A file of the event log was removed while it was written.", "Leave the folder of the event log to Almanac alone."),
    errno.EIO: ("The disk of the event log fails.", "Check the disk; the kernel's log says more."),
    errno.EMFILE: ("Too many files are open.", "Raise the limit of open files (ulimit -n)."),
}


def cause(error: OSError) -> AlmanacError:
    """The error as `unavailable` with its cause and the way out."""
    message, way_out = _CAUSES.get(
        error.errno or 0, (f"The event log cannot be written: {error.strerror}.", "Check the folder and the disk of the event log.")
    )
    return unavailable(message, way_out=way_out)


@contextlib.contextmanager
def as_unavailable() -> Iterator[None]:
    """Turns errors of the disk into `unavailable`."""
    try:
        yield
    except OSError as error:
        raise cause(error) from None
