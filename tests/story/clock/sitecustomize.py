"""Python runs this at its start in processes whose PYTHONPATH names this folder: their wall clock then goes wrong by the seconds in the
file that TESTS_CLOCK names (a number and a newline), as soon as it changes, as when somebody sets the host's clock. Monotonic time and
the disk's stay true."""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import time_machine

_wrong_by = Path(os.environ["TESTS_CLOCK"])


def _offset() -> float | None:
    """None: the file is just being written."""
    text = _wrong_by.read_text()
    return float(text) if text.endswith("\n") else None


def _follow(clock: time_machine.Traveller, offset: float) -> None:
    while True:
        time.sleep(0.02)
        if (wanted := _offset()) is not None and wanted != offset:
            clock.shift(timedelta(seconds=wanted - offset))
            offset = wanted


_first = _offset()
assert _first is not None, "the file of TESTS_CLOCK ends in no newline"
_clock = time_machine.travel(datetime.now(UTC) + timedelta(seconds=_first)).start()
threading.Thread(target=_follow, args=(_clock, _first), daemon=True).start()
