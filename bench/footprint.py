"""What a server weighs and how soon it answers."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from bench.report import Row
from bench.server import Server


def footprint() -> Iterator[Row]:
    """Memory of all processes after a quiet minute; seconds from the start to the first answer."""
    starts = []
    for round_ in range(3):
        with Server() as server:
            starts.append(time.monotonic() - server.began)
            if round_ == 2:
                time.sleep(20)
                resident = server.resident() / 2**20
    yield Row("idle memory of almanac serve, all processes", resident, "MiB", resident / 600, "600 MiB", "< 600 MiB")
    yield Row("start to first answer", statistics.median(starts), "s", statistics.median(starts) / 5, "5 s", "< 5 s")
