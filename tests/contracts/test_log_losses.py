"""What somebody takes away from the log of files is missed, and nothing else ever is."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.contracts.file_logs import HOUR, NOON, append_in_the_end, crash_copy, event, events_of, load, writer_of

from almanac.adapters.log_file import FileLogReader
from almanac.core.errors import AlmanacError, Code
from almanac.core.ports import LostSegment, Segment, Tally


def remove(folder: Path, pattern: str) -> dict[str, bytes]:
    """Deletes files, and tells what was in them."""
    removed = {file.name: file.read_bytes() for file in folder.glob(pattern)}
    for name in removed:
        (folder / name).unlink()
    return removed


def test_a_segment_that_somebody_removes_with_its_tally_is_missed_until_it_is_put_back(tmp_path: Path) -> None:
    folder = tmp_path / "log"

    async def story() -> None:
        writer = writer_of(folder)
        await writer.append([event("a"), event("b", project="club")])
        await writer.close()

    asyncio.run(story())
    [segment] = FileLogReader(folder).sealed(1 << 30)
    removed = remove(folder, f"{segment.name}.*")
    assert len(removed) == 2
    for _ in range(2):
        asyncio.run(writer_of(folder).close())  # a restart does not forget it
        assert FileLogReader(folder).lost() == [LostSegment(segment.name, segment_hour(segment), segment.tallies)]
    (folder / f"{segment.name}.log").write_bytes(removed[f"{segment.name}.log"])
    reader = FileLogReader(folder)
    assert reader.lost() == []
    assert reader.sealed(1 << 30) == [segment]
    reader.done([segment])
    assert reader.lost() == []


def segment_hour(segment: Segment) -> int:
    """When it was begun."""
    return int(segment.name.rpartition("-")[2]) // 100 // HOUR * HOUR


def test_lines_that_somebody_removes_from_a_segment_were_accepted_all_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "log"

    async def story() -> None:
        writer = writer_of(folder)
        await writer.append([event("a"), event("b"), event("c")])
        await writer.close()

    asyncio.run(story())
    [segment] = FileLogReader(folder).sealed(1 << 30)
    segment.path.write_bytes(segment.path.read_bytes().splitlines(keepends=True)[1])
    [left] = FileLogReader(folder).sealed(1 << 30)
    assert [line.event_id for line in events_of([left])] == ["b"]
    assert left.tallies == (Tally("shop", NOON, 3),)


@pytest.mark.parametrize("whole_folder", [False, True])
def test_what_is_removed_while_it_is_written_is_missed_and_nothing_goes_the_same_way(tmp_path: Path, whole_folder: bool) -> None:
    folder = tmp_path / "log"

    async def story() -> None:
        writer, reader = writer_of(folder), FileLogReader(folder)
        await writer.append([event("a"), event("b")])
        if whole_folder:
            shutil.rmtree(folder)
        else:
            remove(folder, "*")
        with pytest.raises(AlmanacError, match="removed while it was written") as refused:
            await writer.append([event("c")])
        assert refused.value.code == Code.UNAVAILABLE
        await append_in_the_end(writer, "c")
        [lost] = reader.lost()
        assert lost.tallies == (Tally("shop", NOON, 2),)
        await writer.close()
        assert load(reader) == ["c"]
        assert reader.lost() == [lost]
        assert [path.name for path in folder.iterdir()] == ["c0.lock"]

    asyncio.run(story())


def test_of_a_killed_writers_last_piece_nobody_knows_how_much_it_held(tmp_path: Path) -> None:
    async def story() -> Path:
        writer = writer_of(tmp_path / "log")
        await writer.append([event("a")])
        crashed = crash_copy(tmp_path / "log", tmp_path / "crashed")
        await writer.close()
        return crashed

    crashed = asyncio.run(story())
    [name] = remove(crashed, "*.open")
    [lost] = FileLogReader(crashed).lost()
    assert (f"{lost.name}.open", lost.tallies, lost.events) == (name, (), 0)


def test_a_log_that_is_emptied_when_nothing_was_under_way_is_not_missed(tmp_path: Path) -> None:
    folder = tmp_path / "log"

    async def story(id_: str) -> None:
        writer, reader = writer_of(folder), FileLogReader(folder)
        await writer.append([event(id_)])
        await writer.close()
        assert load(reader) == [id_]
        shutil.rmtree(folder)
        assert reader.lost() == []

    for id_ in "ab":
        asyncio.run(story(id_))


def test_a_log_that_is_restored_elsewhere_misses_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        writer = writer_of(tmp_path / "log", segment_size=1)
        for id_ in "abc":
            await writer.append([event(id_)])
        await writer.close()

    asyncio.run(story())
    copy = tmp_path / "another machine" / "log"
    shutil.copytree(tmp_path / "log", copy)
    remove(copy, "*.lock")
    assert FileLogReader(copy).lost() == []
    assert load(FileLogReader(copy)) == ["a", "b", "c"]
    assert FileLogReader(copy).lost() == FileLogReader(tmp_path / "log").lost() == []


def test_a_removed_lock_file_opens_a_living_writers_name_to_nobody(tmp_path: Path) -> None:
    async def story() -> None:
        writer, reader = writer_of(tmp_path, segment_age=0.05), FileLogReader(tmp_path)
        await writer.append([event("a")])
        remove(tmp_path, "*.lock")
        assert reader.sealed(1 << 30) == []
        await asyncio.sleep(0.1)
        await writer.append([event("b")])  # in the next segment, for which it takes its name again
        with pytest.raises(AlmanacError, match="Another process writes"):
            writer_of(tmp_path)
        await writer.close()
        assert load(reader) == ["a", "b"]
        assert reader.lost() == []

    asyncio.run(story())


def test_a_register_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        folder = tmp_path / "log"
        FileLogReader(folder).register.write_text("in its place")
        writer, reader = writer_of(folder), FileLogReader(folder)
        await writer.append([event("a")])
        await writer.close()
        assert reader.lost() == []
        assert load(reader) == ["a"]

    asyncio.run(story())


CRASHES = """
import asyncio, os, sys, time
from pathlib import Path
from tests.contracts.file_logs import event, events_of, writer_of
from almanac.adapters.log_file import FileLogReader

def life(folder, told):
    async def story():
        for round_ in range(2):
            writer, reader = writer_of(folder, segment_size=1), FileLogReader(folder)
            for n in range(2):
                await writer.append([event(f"{round_}{n}")])
                os.write(told, f"{round_}{n} ".encode())
            await writer.close()
            reader.done(reader.sealed(1 << 30)[round_:])
    asyncio.run(story())

for step in range(10_000):
    folder = Path(sys.argv[1]) / str(step) / "log"
    listen, tell = os.pipe()
    if not (child := os.fork()):
        left = step
        def die(name, args):
            global left
            if name in ("open", "os.rename", "os.remove", "os.mkdir") and sys.argv[1] in str(args[0]):
                if not left:
                    os._exit(9)
                left -= 1
        sys.addaudithook(die)
        life(folder, tell)
        os._exit(0)
    os.close(tell)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with os.fdopen(listen) as answers:
        told = set(answers.read().split())
    reader = FileLogReader(folder)
    assert reader.lost() == [], (step, reader.lost())
    kept = {one.event_id for one in events_of(reader.sealed(1 << 30))}
    assert reader.lost() == [], (step, "after recovery", reader.lost())
    assert told - kept <= {"00", "01", "11"}, (step, told, kept)  # the others were not loaded
    reader.done(reader.sealed(1 << 30))
    assert not reader.register.exists() or not list(reader.register.iterdir()), (step, list(reader.register.iterdir()))
    if code == 0:
        print(step)
        break
    assert code == 9
"""


def test_a_crash_between_any_two_steps_makes_up_no_loss(tmp_path: Path) -> None:
    """The process ends before its first, second, third ... change of the disk, writing as well as loading."""
    home = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", CRASHES, str(tmp_path)], cwd=home, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 40, "it did not crash often enough to tell something"
