"""What only the log of files can suffer: killed writers, torn tails, full, failing and read-only disks, two writers of one name."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.contracts.file_logs import HOUR, NOON, append_in_the_end, check_tallies, crash_copy, event, events_of, load, writer_of

from almanac.adapters.log_file import FileLogReader, FileLogWriter
from almanac.core.errors import AlmanacError, Code
from almanac.core.event import LINE_ENCODER
from almanac.core.ports import Tally


async def appended_until_refused(writer: FileLogWriter, *, title: str = "x" * 20_000) -> tuple[list[str], AlmanacError]:
    kept: list[str] = []
    for number in range(1000):
        try:
            await writer.append([event(f"{number}-{i}", title=title) for i in range(2)])
        except AlmanacError as refused:
            return kept, refused
        kept += [f"{number}-0", f"{number}-1"]
    raise AssertionError("the disk was never full")


# ------------------------------------------------------------------------------------ crashes

SENDERS = """
import asyncio, os, sys, time
from pathlib import Path
from almanac.adapters.log_file import FileLogWriter
from almanac.core.event import Event

async def send(writer, who, round_):
    for n in range(1_000_000):
        size = (1, 40, 500)[who % 3]
        now = time.time_ns() // 1000 + who * 3_600_000_000
        await writer.append([Event(project=f"p{who % 4}", event_id=f"{round_}.{who}.{n}.{i}", kind="track", name="Bought",
                                   received_us=now, title="x" * (10 if n % 9 else 5_000)) for i in range(size)])
        os.write(1, f"{round_} {who} {n} {size}\\n".encode())

async def main(folder, round_):
    writer = FileLogWriter(Path(folder), "c0", segment_size=400_000, segment_age=0.02, log_limit=1 << 40, disk_reserve=0,
                           clock=lambda: time.time_ns() // 1000)
    await asyncio.gather(*(send(writer, who, round_) for who in range(9)))

asyncio.run(main(sys.argv[1], sys.argv[2]))
"""


def test_killed_writers_lose_nothing_that_they_acknowledged(tmp_path: Path) -> None:
    folder, told = tmp_path / "log", tmp_path / "acknowledged"
    chance = random.Random(20)
    names: set[str] = set()
    for round_ in range(20):
        with told.open("wb") as answers:
            process = subprocess.Popen([sys.executable, "-c", SENDERS, str(folder), str(round_)], stdout=answers)
        deadline = time.monotonic() + 30
        while not told.stat().st_size:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.06))
        process.send_signal(signal.SIGKILL)
        process.wait()
        if round_ % 2:  # the next writer of the name recovers it; else the reader does
            asyncio.run(writer_of(folder).close())
        reader = FileLogReader(folder)
        segments = reader.sealed(1 << 40)
        assert not list(folder.glob("*.open"))
        check_tallies(segments)
        kept = Counter(line.event_id for line in events_of(segments))
        promised = [
            f"{r}.{who}.{n}.{i}"
            for r, who, n, size in (line.split() for line in told.read_text().splitlines() if line.count(" ") == 3)
            for i in range(int(size))
        ]
        assert promised
        assert [id_ for id_ in promised if kept[id_] != 1] == []
        assert max(kept.values()) == 1
        fresh = {segment.name for segment in segments}
        assert not names & fresh
        names |= fresh
        assert reader.lost() == []
        reader.done(segments)
    assert [path.name for path in folder.iterdir()] == ["c0.lock"]
    assert list(FileLogReader(folder).register.iterdir()) == []


def _size(path: Path) -> int:
    """0 when it is there no more."""
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def test_a_torn_tail_is_cut_at_the_last_whole_line(tmp_path: Path) -> None:
    async def story() -> Path:
        writer = writer_of(tmp_path / "log")
        await writer.append([event("a"), event("b", project="club")])
        crashed = crash_copy(tmp_path / "log", tmp_path / "crashed")
        await writer.close()
        return crashed

    crashed = asyncio.run(story())
    [left] = crashed.glob("*.open")
    with left.open("ab") as file:
        file.write(b'["shop","c","track","Bou')
    [segment] = FileLogReader(crashed).sealed(1 << 30)
    assert [line.event_id for line in events_of([segment])] == ["a", "b"]
    assert segment.tallies == (Tally("club", NOON, 1), Tally("shop", NOON, 1))
    assert segment.name == left.stem


def test_a_living_writer_is_left_alone(tmp_path: Path) -> None:
    async def story() -> None:
        writer = writer_of(tmp_path)
        await writer.append([event("a")])
        assert FileLogReader(tmp_path).sealed(1 << 30) == []
        assert FileLogReader(tmp_path).in_flight() == [Tally("shop", NOON, 1)]
        await writer.close()

    asyncio.run(story())


def test_a_missing_or_wrong_tally_is_counted_again(tmp_path: Path) -> None:
    async def story() -> None:
        writer = writer_of(tmp_path)
        await writer.append([event("a"), event("b")])
        await writer.close()

    asyncio.run(story())
    [tally] = tmp_path.glob("*.tally")
    good = tally.read_bytes()
    for damage in (None, b"", b"\0" * len(good), good.replace(b'"size":', b'"size":9')):
        tally.unlink()
        if damage is not None:
            tally.write_bytes(damage)
        [segment] = FileLogReader(tmp_path).sealed(1 << 30)
        assert segment.tallies == (Tally("shop", NOON, 2),)
        assert tally.read_bytes() == good


def test_unreadable_lines_are_returned_and_counted_apart(tmp_path: Path) -> None:
    tmp_path.joinpath("old-176364000000.log").write_bytes(b'["shop","a","track","B",1763640000000000]\nnonsense\n["shop",1]\n')
    [segment] = FileLogReader(tmp_path).sealed(1 << 30)
    assert segment.tallies == (Tally("", NOON, 2), Tally("shop", NOON, 1))


def test_foreign_files_are_not_touched(tmp_path: Path) -> None:
    foreign = ["notes.txt", "x.log", "c0-12.open", "c0-123456789012.bak", "-123456789012.log"]
    for name in foreign:
        tmp_path.joinpath(name).write_text("mine")
    asyncio.run(writer_of(tmp_path).close())
    assert FileLogReader(tmp_path).sealed(1 << 30) == []
    assert {path.name for path in tmp_path.iterdir()} == {*foreign, "c0.lock"}


# ------------------------------------------------------------------------------ two of a name


def test_a_second_writer_of_a_name_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        writer = writer_of(tmp_path, "c0")
        with pytest.raises(AlmanacError, match="under the name 'c0'") as refused:
            writer_of(tmp_path, "c0")
        assert refused.value.code == Code.CONFLICT
        other = writer_of(tmp_path, "c0-x")
        await asyncio.gather(writer.append([event("a")]), other.append([event("b")]))
        await writer.close()
        await writer_of(tmp_path, "c0").close()  # the name is free again, and the other's open segment is not recovered with it
        await other.append([event("c")])
        await other.close()

    asyncio.run(story())
    assert sorted(line.event_id for line in events_of(FileLogReader(tmp_path).sealed(1 << 30))) == ["a", "b", "c"]


@pytest.mark.parametrize("name", ["", "a/b", "../c", ".hidden", "ä", "x" * 101])
def test_an_odd_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(AlmanacError) as refused:
        writer_of(tmp_path, name)
    assert refused.value.code == Code.INVALID


# ---------------------------------------------------------------------------------- bad disks


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("only root may mount a small disk; the limit of file sizes is tested instead")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_refuses_keeps_what_it_promised_and_recovers(small_disk: Path) -> None:
    async def story() -> None:
        writer, reader = writer_of(small_disk, segment_size=200_000), FileLogReader(small_disk)
        kept, refused = await appended_until_refused(writer)
        assert refused.code == Code.UNAVAILABLE
        assert refused.message == "The disk of the event log is full."
        assert "Free disk space" in refused.way_out
        assert writer.state()["last_error"] == str(refused)
        assert reader.in_flight() == [Tally("shop", NOON, len(kept))]
        await asyncio.sleep(0.25)
        with pytest.raises(AlmanacError, match="full"):
            await writer.append([event("too big", title="x" * 300_000)])
        loaded = load(reader)
        await append_in_the_end(writer, "back")
        assert writer.state()["last_error"] == ""
        await writer.close()
        assert loaded + load(reader) == [*kept, "back"]
        assert [path.name for path in small_disk.iterdir()] == ["c0.lock"]

    asyncio.run(story())


def test_a_read_only_folder_refuses_and_recovers(small_disk: Path) -> None:
    async def story() -> None:
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
        writer = writer_of(small_disk)
        with pytest.raises(AlmanacError, match="read-only") as refused:
            await writer.append([event("refused")])
        assert refused.value.code == Code.UNAVAILABLE
        assert FileLogReader(small_disk).sealed(1 << 30) == []
        subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
        await append_in_the_end(writer, "back")
        await writer.close()
        assert load(FileLogReader(small_disk)) == ["back"]

    asyncio.run(story())


def test_a_limit_of_file_sizes_tears_no_line(tmp_path: Path) -> None:
    async def story() -> None:
        writer, reader = writer_of(tmp_path), FileLogReader(tmp_path)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (210_000, hard))
        try:
            kept, refused = await appended_until_refused(writer)
            assert len(kept) == 10  # five appends of 40 kB; the sixth was half written
            assert "ulimit -f" in refused.way_out
            await append_in_the_end(writer, "back")  # in the next segment
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        await writer.close()
        assert load(reader) == [*kept, "back"]

    asyncio.run(story())


def test_the_log_limit_sends_senders_back_until_events_are_loaded(tmp_path: Path) -> None:
    async def story() -> None:
        writer, reader = writer_of(tmp_path, segment_size=100_000, log_limit=300_000), FileLogReader(tmp_path)
        kept, refused = await appended_until_refused(writer)
        assert len(kept) == 14  # 280 kB
        assert "raise log_limit" in refused.way_out
        loaded = load(reader)
        await append_in_the_end(writer, "back")
        await writer.close()
        assert loaded + load(reader) == [*kept, "back"]

    asyncio.run(story())


def test_the_reserve_of_the_disk_is_kept_free(tmp_path: Path) -> None:
    async def story() -> None:
        writer = writer_of(tmp_path, disk_reserve=1 << 60)
        with pytest.raises(AlmanacError, match="nearly full") as refused:
            await writer.append([event("refused")])
        assert "lower disk_reserve" in refused.value.way_out
        await writer.close()

    asyncio.run(story())
    assert load(FileLogReader(tmp_path)) == []


def test_nothing_is_acknowledged_before_the_disk_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    durable = threading.Event()
    plain = os.fdatasync

    def slow(handle: int) -> None:
        assert durable.wait(10)
        plain(handle)

    async def story() -> None:
        writer = writer_of(tmp_path)
        await writer.append([event("a")])
        monkeypatch.setattr(os, "fdatasync", slow)
        waiting = asyncio.create_task(writer.append([event("b")]))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        assert writer.state()["waiting_appends"] == 1
        durable.set()
        await waiting
        assert writer.state()["waiting_appends"] == 0
        assert writer.state()["fsync_seconds_max"] >= 0.05
        await writer.close()

    asyncio.run(story())


@pytest.mark.parametrize("cut_fails", [False, True])
def test_a_failing_disk_keeps_nothing_of_the_append_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut_fails: bool) -> None:
    def broken(*_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async def story() -> None:
        writer, reader = writer_of(tmp_path), FileLogReader(tmp_path)
        await writer.append([event("a")])
        with monkeypatch.context() as disk:
            disk.setattr(os, "fdatasync", broken)
            if cut_fails:
                disk.setattr(os, "ftruncate", broken)
            with pytest.raises(AlmanacError, match="disk of the event log fails"):
                await writer.append([event("b"), event("c")])
            while not (sealed := list(tmp_path.glob("*.log"))):
                await asyncio.sleep(0.005)
            if not cut_fails:  # else the reader cuts it, before anybody reads it
                assert sealed[0].stat().st_size == len(LINE_ENCODER.encode(event("a"))) + 1
            assert reader.in_flight() == [Tally("shop", NOON, 1)]
        await append_in_the_end(writer, "d")
        await writer.close()
        assert load(reader) == ["a", "d"]

    asyncio.run(story())


# ------------------------------------------------------------------------------------ the law

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.lists(st.tuples(st.sampled_from(["shop", "club"]), st.integers(0, 2)), min_size=1, max_size=4)),
        st.tuples(st.just("restart"), st.sampled_from([1, 500, 1 << 20])),  # the size at which the next writer seals
        st.tuples(st.just("crash"), st.sampled_from([b"", b"[", b'["shop","torn","track","B",1763640000000000'])),
        st.tuples(st.just("done"), st.integers(1, 3)),
        st.tuples(st.just("removed by somebody"), st.integers(0, 3)),
    ),
    max_size=14,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_acknowledged_minus_done_is_what_can_be_read(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, Any]]) -> None:
    base = tmp_path_factory.mktemp("law")
    folder, size, number = base / "0", 1 << 20, 0
    expected: dict[str, tuple[str, int]] = {}
    lost: dict[str, Counter[tuple[str, int]]] = {}

    def check(reader: FileLogReader) -> None:
        missing = {one.name: Counter({(tally.project, tally.hour): tally.accepted for tally in one.tallies}) for one in reader.lost()}
        assert missing == lost
        counts = Counter(expected.values())
        assert {(tally.project, tally.hour): tally.accepted for tally in reader.in_flight()} == counts
        assert reader.lag().events == len(expected)

    with asyncio.Runner() as loop:
        writer, reader = writer_of(folder, segment_size=size), FileLogReader(folder)
        for step, what in steps:
            if step == "append":
                events = [event(f"{(number := number + 1)}", project=project, hour=NOON + hour * HOUR) for project, hour in what]
                loop.run(writer.append(events))
                expected |= {one.event_id: (one.project, one.received_us // 1_000_000) for one in events}
            elif step == "restart":
                loop.run(writer.close())
                size = what
                writer = writer_of(folder, segment_size=size)
            elif step == "crash":
                while any(_size(left) >= size for left in folder.glob("*.open")):
                    time.sleep(0.001)  # it is about to be sealed, and a copy of a folder that changes is no picture of a moment
                crashed = crash_copy(folder, base / f"{number}-{len(list(base.iterdir()))}")
                loop.run(writer.close())
                for left in crashed.glob("*.open"):
                    with left.open("ab") as file:
                        file.write(what)
                folder = crashed
                writer, reader = writer_of(folder, segment_size=size), FileLogReader(folder)
            elif step == "removed by somebody":
                for segment in reader.sealed(1 << 30)[what : what + 1]:
                    lost[segment.name] = Counter(expected.pop(line.event_id) for line in events_of([segment]))
                    for file in folder.glob(f"{segment.name}.*"):
                        file.unlink()
            else:
                for segment in (segments := reader.sealed(1 << 30)[:what]):
                    for line in events_of([segment]):
                        del expected[line.event_id]
                reader.done(segments)
            check(reader)
        loop.run(writer.close())
    segments = reader.sealed(1 << 30)
    check_tallies(segments)
    assert Counter(line.event_id for line in events_of(segments)) == Counter(expected.keys())
    shutil.rmtree(base)
