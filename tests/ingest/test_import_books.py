"""What became of an import's own events, in batches with those of other senders."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace

from almanac.core.event import Event
from almanac.ingest.import_books import outcome

from .conftest import NOW_US, Bench


def written(bench: Bench, name: str, lines: Sequence[Event | bytes]) -> None:
    """A segment of this name."""
    segment = bench.log.add(lines)
    del bench.log.waiting[segment.name]
    path = segment.path.with_name(f"{name}.log")
    shutil.move(segment.path, path)
    bench.log.waiting[name] = replace(segment, name=name, path=path)


def test_of_a_batch_only_the_lines_of_that_import_count(bench: Bench) -> None:
    """A line that cannot be read makes the batch be copied first; the copy still tells whose the lines are."""
    writer, since = f"import-{bench.project}", NOW_US
    number = since // 10_000
    bench.load(bench.event("known"))
    written(bench, f"{writer}-{number - 1:012d}", [bench.event("left by one that was killed")])
    written(bench, f"{writer}-{number:012d}", [bench.event(id_) for id_ in ("a", "b", "known")])
    written(bench, f"{writer}-{number + 7:012d}", [bench.event("b"), bench.event("poison", properties=b'{"s":"\\ud800"}')])
    written(bench, f"{writer}2-{number + 7:012d}", [bench.event("of another import")])
    bench.log.add([bench.event("live"), b"no event"])
    bench.loader.drain()
    assert outcome(bench.store, writer, since) == {"stored": 2, "duplicate": 2, "rejected": 1}
    assert outcome(bench.store, writer, since + 10_000) == {"stored": 0, "duplicate": 1, "rejected": 1}
    assert outcome(bench.store, f"{writer}2", since) == {"stored": 1, "duplicate": 0, "rejected": 0}
    assert outcome(bench.store, "import-nobody", since) == {"stored": 0, "duplicate": 0, "rejected": 0}
    assert not list(bench.folder.rglob("mended*"))
