"""What a batch of the load is made of, on the disk before its first insert: whatever dies, the same batch is made again."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class BatchPlan:
    """`batch`: its number. `segments`: their names. `loaded`: all is stored, only the log has to forget it. `tracking`: id of the tracking
    plans that judge it, "" for none."""

    batch: int
    segments: Sequence[str]
    loaded: bool = False
    tracking: str = ""


class PlanFile:
    """The plan of the batch under way, and that of the last one that is done, in a folder of the load's own."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "plan.json"
        self._last = folder / "last.json"

    def begun(self) -> BatchPlan | None:
        """The batch that was begun and is not done."""
        return _read(self._file)

    def last_batch(self) -> int:
        """The number of the last batch that was done; 0 before the first."""
        done = _read(self._last)
        return done.batch if done else 0

    def write(self, plan: BatchPlan) -> None:
        """Durable when it returns."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._file.with_suffix(".new")
        with fresh.open("w") as file:
            file.write(json.dumps(asdict(plan)))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._file)
        # Its name too: after a power cut the same batch must be made again, or its messages would be new ones to the store.
        folder = os.open(self._file.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def done(self) -> None:
        """The batch under way is the last one that is done."""
        self._file.replace(self._last)


def _read(file: Path) -> BatchPlan | None:
    try:
        told = json.loads(file.read_text())
    except FileNotFoundError:
        return None
    return BatchPlan(int(told["batch"]), told["segments"], bool(told.get("loaded")), told.get("tracking", ""))
