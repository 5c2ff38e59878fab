"""Every kind of question over 10 M events: beside SQL by hand for the same answer, some beside DuckDB on the same data.

Both ways have the limits of a question in the product, and run by turns. Ratios are of CPU, all threads of the process: what else the
machine does slows the clock, not the CPU. The peak of memory is the engine's own figure for the statement.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

import duckdb

from almanac.core.errors import AlmanacError
from almanac.core.ports import Limits
from almanac.core.settings import load
from almanac.core.sql import Sql
from almanac.house import Local, open_local
from bench.questions_by_hand import QUESTIONS, Measured
from bench.questions_data import fill
from bench.questions_of_funnels import FUNNELS
from bench.report import Row

_MOST_ROUNDS: Final = 15
_LEAST_ROUNDS: Final = 3
_SECONDS_EACH: Final = 40.0  # for the rounds of one question
_MOST_MEMORY: Final = 2 << 30
_GREAT: Final = 100_000_000


@dataclass
class _Taken:
    """What each round of one way took."""

    clock: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def questions(rows: int = 10_000_000, only: Sequence[str] = ()) -> Iterator[Row]:
    """Each question (or those named) with its rivals, by turns."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="almanac-bench-")))
        local = stack.enter_context(open_local(load({"data": folder / "data"})))
        project, _ = local.catalog.create_project("bench")
        assert project.id == "bench"
        start = fill(local, rows)
        duck = stack.enter_context(duckdb.connect(str(folder / "duck.db")))
        _copy(local, duck, folder)
        for measured in [*QUESTIONS, *FUNNELS]:
            if not only or measured.name in only:
                yield from _rows(local, duck, measured, start, rows)


def great_questions() -> Iterator[Row]:
    """Trend, funnel and retention over 100 M events."""
    yield from questions(_GREAT, ("trend", "funnel", "retention"))


def _rows(local: Local, duck: duckdb.DuckDBPyConnection, measured: Measured, start: datetime, rows: int) -> Iterator[Row]:
    name = f"{measured.name} over {rows // 1_000_000} M events"
    values = {"start": start.replace(tzinfo=None)}
    limits = Limits(seconds=300, memory_bytes=local.settings.question_memory)
    ways: dict[str, Callable[[], Any]] = {"ours": lambda: local.engine.ask("bench", measured.question, fresh=True)}
    if measured.by_hand:
        ways["SQL by hand"] = lambda: local.store.query(Sql(measured.by_hand, values), limits=limits)
    if measured.duck:
        ways["DuckDB"] = lambda: duck.execute(measured.duck, {"start": start}).to_arrow_table()
    for other, text in (measured.also or {}).items():
        ways[other] = lambda text=text: local.store.query(Sql(text, values), limits=limits)
    answers, peak = {}, 0
    for way in list(ways):  # these rounds warm up too
        try:
            answers[way], used = _with_peak(local, ways[way])
        except AlmanacError as error:  # what needs more memory than a question may have is no rival
            if way == "ours":
                raise
            yield Row(f"{name}: {way} refused ({error.message})", 0, "")
            del ways[way]
            continue
        peak = used if way == "ours" else peak
    if "SQL by hand" in answers and not measured.same(answers["ours"].rows, answers["SQL by hand"].rows):
        raise AssertionError(f"{name}: the answer by hand is another one")
    taken = _in_turns(ways)
    goal = measured.seconds if rows < _GREAT else 5.0
    yield Row(name, median(taken["ours"].clock), "s", median(taken["ours"].clock) / goal, f"{goal:g} s", f"< {goal:g} s")
    for way in list(ways)[1:]:
        wanted = f"<= {measured.ratio:g}" if way == "SQL by hand" else ""
        yield Row(f"{name}, CPU beside {way}", median(taken["ours"].cpu), "CPU s", _ratio(taken["ours"].cpu, taken[way].cpu), way, wanted)
    yield Row(f"{name}, memory", peak / 2**20, "MiB", peak / _MOST_MEMORY, "2 GiB", "<= 2 GiB")


def _with_peak(local: Local, work: Callable[[], Any]) -> tuple[Any, int]:
    """What `work` gives, and the most memory that the engine counted for one statement meanwhile."""
    peak, over = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not over.wait(0.01):
            found = local.store.query(Sql("SELECT max(peak_memory_usage) FROM system.processes WHERE query NOT LIKE '%peak_memory%'")).rows
            peak = max(peak, int(found[0][0] or 0))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        return work(), peak
    finally:
        over.set()
        watcher.join()


def _in_turns(ways: dict[str, Callable[[], Any]]) -> dict[str, _Taken]:
    """Each way once a round, forwards and backwards by turns."""
    taken = {way: _Taken() for way in ways}
    began, turn = time.perf_counter(), 0
    while turn < _LEAST_ROUNDS or (turn < _MOST_ROUNDS and time.perf_counter() - began < _SECONDS_EACH):
        for way in ways if turn % 2 else reversed(ways):
            clock, cpu = time.perf_counter(), time.process_time()
            ways[way]()
            taken[way].cpu.append(time.process_time() - cpu)
            taken[way].clock.append(time.perf_counter() - clock)
        turn += 1
    return taken


def _ratio(ours: list[float], theirs: list[float]) -> float:
    """The median of the rounds' own ratios: what else the machine does in a round slows both."""
    return median([one / other for one, other in zip(ours, theirs, strict=True)])


def _copy(local: Local, duck: duckdb.DuckDBPyConnection, folder: Path) -> None:
    file = folder / "events.parquet"
    local.store.execute(
        Sql(
            "INSERT INTO FUNCTION file({path:String}, 'Parquet') SELECT toString(event) AS event, person_hash, time FROM events",
            {"path": str(file)},
        )
    )
    duck.execute("SET threads = 2; SET TimeZone = 'UTC'; SET enable_progress_bar = false")
    duck.execute(f"CREATE TABLE events AS SELECT * FROM '{file}' ORDER BY event, time")
    file.unlink()
