"""Our own SDK for Python, against a real collector, over lines and disks that fail, in processes that end in every way."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version as python_version
from pathlib import Path
from typing import Any

import pytest

import almanac
from almanac.sdk import VERSION, Problem, anonymous_id, sender, spool

APP = Path(__file__).parent / "python_app.py"
SNIPPETS = Path(__file__).parent.parent.parent / "ui" / "src" / "pages" / "welcome" / "snippets.ts"
ALONE = Path(__file__).parent.parent.parent / "sdk" / "python"
KEY = "test-write-key"
DEAD = "http://127.0.0.1:9"  # nobody listens there
PRICE = {"price": 12.5, "label": "Grüße 🎉"}


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "FIRST_PAUSE", 0.05)


@pytest.fixture
def client(server: Any) -> Iterator[Callable[..., almanac.Client]]:
    """Makes clients that are closed in the end, and whose books have to close."""
    made: list[almanac.Client] = []

    def make(host: str = "", **settings: Any) -> almanac.Client:
        made.append(almanac.Client(KEY, host or server.url, **{"flush_seconds": 0.05, "close_seconds": 5, **settings}))
        return made[-1]

    yield make
    for one in made:
        closes(one.close())


def closes(books: Any) -> None:
    assert books.taken == books.delivered + books.rejected + sum(books.dropped.values()) + books.waiting + books.held, books


def app(how: str, url: str, folder: object, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, str(APP), how, url, KEY, str(folder), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def ids(events: list[Any]) -> list[str]:
    return [event.event_id for event in events]


def test_every_call_arrives_as_it_was_meant(server: Any, client: Callable[..., almanac.Client]) -> None:
    sending = client(context={"app": {"version": "2.1"}})
    visitor = sending.person(anonymous_id="a1", session_id="s1", groups={"company": "acme"})
    visitor.page("https://shop.example/?utm_source=mail", {"section": "rock"}, name="Concerts", title="Shop", referrer="https://x.example/")
    visitor.track("Viewed", PRICE, ip="203.0.113.9", user_agent="Mozilla/5.0")
    visitor.identify("u1", {"plan": "pro"}, once={"first": "mail"}, unset=["old"])
    visitor.track("Bought", {"seats": 2}, revenue=25, currency="EUR", groups={"team": "blue"})
    sending.screen("Login", user_id=42)
    sending.alias("u2", "u1", merge=True)
    sending.group("company", "acme", {"seats": 5}, user_id="u1")
    sending.profile({"plan": "free"}, changes={"add": {"logins": 1}}, user_id="u1")
    assert sending.track("Nobody's", id="my-own-id", time="2026-02-28T12:00:00+02:00", keep_time=True) == "my-own-id"
    assert sending.flush()
    found = {event.name: event for event in server.events(9)}
    assert len(found) == 9
    page, viewed, identify, bought = (found[name] for name in ("Concerts", "Viewed", "identify", "Bought"))
    assert (page.kind, page.url, page.title, page.referrer) == (
        "page", "https://shop.example/?utm_source=mail", "Shop", "https://x.example/"
    )  # fmt: skip
    assert (viewed.distinct_id, viewed.session_id, viewed.ip, viewed.user_agent) == ("a1", "s1", "203.0.113.9", "Mozilla/5.0")
    assert json.loads(bytes(viewed.properties)) == PRICE
    assert json.loads(bytes(viewed.groups)) == {"company": "acme"}
    (merge,) = identify.merges
    assert (merge.source, merge.target, merge.how) == ("a1", "u1", "identify")
    assert json.loads(bytes(identify.profile)) == {"set": {"plan": "pro"}, "set_once": {"first": "mail"}, "unset": ["old"]}
    assert (bought.distinct_id, bought.anonymous_id) == ("u1", "a1")
    assert json.loads(bytes(bought.properties)) == {"seats": 2, "revenue": 25, "currency": "EUR"}
    assert json.loads(bytes(bought.groups)) == {"company": "acme", "team": "blue"}
    assert (found["screen"].screen, found["screen"].distinct_id) == ("Login", "42")
    assert [(merge.source, merge.target, merge.how) for merge in found["alias"].merges] == [("u1", "u2", "merge")]
    assert json.loads(bytes(found["group"].group_profile)) == {"type": "company", "key": "acme", "set": {"seats": 5}}
    assert json.loads(bytes(found["profile"].profile)) == {"set": {"plan": "free"}, "add": {"logins": 1}}
    own = found["Nobody's"]
    assert (own.event_id, own.distinct_id, own.client_time, own.keep_time) == ("my-own-id", "", "2026-02-28T12:00:00+02:00", True)
    for event in found.values():
        assert (event.library, event.is_server, event.protocol) == ("almanac-python", True, "native")
        assert event.sent_time
        assert event.client_time
        assert json.loads(bytes(event.context)) == {"app": {"version": "2.1"}}
        assert bytes(event.rest) == b"{}"
    assert server.unknown == []


@pytest.mark.parametrize("spooled", [False, True])
@pytest.mark.parametrize("failures", [("500", "429", "close"), ("413",), ("302", "401", "404"), ("408", "503", "500", "500")])
def test_failures_cost_nothing(
    failures: tuple[str, ...], spooled: bool, client: Callable[..., almanac.Client], server: Any, flaky: Callable[..., Any], tmp_path: Path
) -> None:
    line = flaky(*failures)
    sending = client(line.url, spool=tmp_path / "spool" if spooled else None, batch_events=10)
    given = [sending.track("beat", {"n": number}) for number in range(25)]
    assert sending.flush(20)
    assert ids(server.events(25)) == given, "nothing lost, nothing doubled, in order"
    refused = [item["id"] for body in line.bodies() for item in body["batch"]]
    assert set(refused) <= set(given)
    assert len(line.refused) == len(failures)
    assert sending.stats().delivered == 25
    assert not list(tmp_path.glob("spool/**/*.jsonl"))


class Slow:
    """Hands the first request on, and never answers it."""

    def __init__(self, target: int) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self._target = target
        self._first = True
        self._kept: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            behind = socket.create_connection(("127.0.0.1", self._target))
            self._kept += [connection, behind]
            first, self._first = self._first, False
            threading.Thread(target=self._pump, args=(connection, behind), daemon=True).start()
            if not first:
                threading.Thread(target=self._pump, args=(behind, connection), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while piece := source.recv(65536):
                sink.sendall(piece)
        except OSError:
            return

    def close(self) -> None:
        self.listener.close()
        for each in self._kept:
            each.close()


def test_a_slow_answer_brings_the_same_ids_again(client: Callable[..., almanac.Client], server: Any) -> None:
    line = Slow(server.port)
    sending = client(line.url, timeout=0.5)
    given = [sending.track("beat") for _ in range(5)]
    assert sending.flush(20)
    found = ids(server.events(10))
    line.close()
    assert found == given * 2, "the collector has them twice, and the load knows the ids"


def test_one_event_that_will_never_do_goes_alone(client: Callable[..., almanac.Client], server: Any, flaky: Callable[..., Any]) -> None:
    problems: list[Problem] = []
    line = flaky("413", "413")
    sending = client(line.url, on_error=problems.append, flush_seconds=0.2)
    sending.track("huge")
    good = sending.track("good")
    assert sending.flush(20)
    assert ids(server.events(1)) == [good]
    assert [(problem.reason, problem.count, problem.events[0]["event"]) for problem in problems] == [("refused", 1, "huge")]
    assert sending.stats().dropped == {"refused": 1}


def test_dead_letters_are_said(client: Callable[..., almanac.Client], server: Any) -> None:
    problems: list[Problem] = []
    sending = client(on_error=problems.append)
    sending.track("")
    sending.track("good")
    assert sending.flush()
    assert len(server.lines) == 2
    assert (sending.stats().delivered, sending.stats().rejected) == (1, 1)
    assert [(problem.reason, problem.detail) for problem in problems] == [
        ("rejected", "The server put an event among its dead letters: It has no name of an event.")
    ]


def test_something_else_that_answers_is_not_believed(client: Callable[..., almanac.Client]) -> None:
    """A portal of a public network says 200 to everything."""
    listener = socket.create_server(("127.0.0.1", 0))

    def portal() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\nWelcome")

    threading.Thread(target=portal, daemon=True).start()
    problems: list[Problem] = []
    sending = client(f"http://127.0.0.1:{listener.getsockname()[1]}", on_error=problems.append, close_seconds=0.1)
    sending.track("beat")
    assert not sending.flush(0.5)
    listener.close()
    assert sending.stats().delivered == 0
    assert [problem.reason for problem in problems] == ["unreachable"]
    assert "not Almanac" in problems[0].detail


def test_an_app_is_never_held_up(tmp_path: Path) -> None:
    """The server takes connections and says nothing; the queue is full; the disk refuses; values are strange; `on_error` fails."""
    listener = socket.create_server(("127.0.0.1", 0))
    spoolfile = tmp_path / "a file"
    spoolfile.write_text("")

    def fail(problem: Problem) -> None:
        raise RuntimeError(problem.reason)

    for folder in (None, spoolfile):
        sending = almanac.Client(
            KEY,
            f"http://127.0.0.1:{listener.getsockname()[1]}",
            queue_events=1000,
            spool=folder,
            on_error=fail,
            close_seconds=0.2,
            timeout=60,
        )
        before = time.thread_time(), time.monotonic()
        for number in range(20_000):
            sending.track("beat", {"n": number})
        assert time.monotonic() - before[1] < 20
        assert time.thread_time() - before[0] < 5
        assert sending.stats().dropped["queue_full"] == 19_000
        assert sending.stats().waiting == 1000
        before = time.thread_time(), time.monotonic()
        books = sending.close()
        assert time.monotonic() - before[1] < 5
        closes(books)
        assert books.dropped["closed"] == 1000
        assert sending.track("late") == ""
        closes(sending.stats())
    listener.close()


def test_details_that_do_not_exist_are_said(client: Callable[..., almanac.Client], server: Any) -> None:
    problems: list[Problem] = []
    sending = client(on_error=problems.append)
    sending.track("beat", user="u1")  # type: ignore[call-arg]
    sending.consent(analytics="perhaps")
    assert sending.flush()
    assert [event.name for event in server.events(1)] == ["beat"]
    assert [problem.detail for problem in problems] == [
        "There is no detail user; it is left out.",
        "Consent to 'analytics' is 'perhaps'; it has to be one of granted, denied, pending.",
    ]


def test_only_the_constructor_raises() -> None:
    for settings in ({"host": "almanac.example.org"}, {"host": "ftp://x"}, {"host": "http://x:port"}, {"batch_events": 0}):
        with pytest.raises(ValueError, match=r"host is|has to be|Port"):
            almanac.Client(KEY, **settings)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="enabled=False"):
        almanac.Client("")
    off = almanac.Client("", enabled=False)
    assert off.track("beat") == ""
    assert off.flush()
    assert off.close().taken == 0


# ---------------------------------------------------------------- consent, tests of apps, asyncio


def test_nothing_is_stored_or_sent_before_consent(client: Callable[..., almanac.Client], server: Any, tmp_path: Path) -> None:
    sending = client(consent={"analytics": "pending"}, spool=tmp_path / "spool")
    changing = {"n": 1}
    sending.track("before", changing)
    changing["n"] = 2
    sending.track("advert", purpose="marketing")
    sending.track("person's own", user_id="u1", consent={"analytics": True})
    sending.track("person's no", user_id="u2", consent={"analytics": False})
    sending.flush()
    assert [event.name for event in server.events(1)] == ["person's own"]
    assert sending.stats().held == 2
    assert sending.stats().dropped == {"no_consent": 1}
    closes(sending.stats())
    sending.consent(marketing="denied", analytics=True)
    sending.track("after")
    sending.flush()
    found = server.events(3)
    assert [event.name for event in found] == ["person's own", "before", "after"]
    assert json.loads(bytes(found[1].properties)) == {"n": 1}
    assert found[1].client_time < found[0].client_time
    assert json.loads(bytes(found[1].flags)) == {"consent": {"analytics": "granted", "marketing": "denied"}, "purpose": "analytics"}
    assert json.loads(bytes(found[0].flags)) == {"consent": {"analytics": "granted"}, "purpose": "analytics"}
    assert sending.stats().dropped == {"no_consent": 2}
    assert sending.stats().held == 0


def test_a_client_for_tests() -> None:
    recorded = almanac.Client.testing()
    recorded.person(user_id="u1").track("Bought", PRICE)
    (event,) = recorded.events
    assert (event["event"], event["user_id"], event["properties"]) == ("Bought", "u1", PRICE)
    assert recorded.flush()
    assert len(anonymous_id()) == 36


def test_asyncio_goes_on_meanwhile(client: Callable[..., almanac.Client], server: Any, flaky: Callable[..., Any]) -> None:
    line = flaky("500", "500", "500")

    async def story() -> int:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.005)
                ticks += 1

        ticking = asyncio.create_task(tick())
        async with almanac.Client(KEY, line.url, flush_seconds=0.05) as sending:
            sending.track("beat")
            assert await sending.flush_async(20)
            assert sending.stats().delivered == 1
        dead = client(DEAD, close_seconds=0.1)
        dead.track("beat")
        assert not await dead.flush_async(0.2)
        ticking.cancel()
        return ticks

    assert asyncio.run(story()) > 20
    assert len(server.events(1)) == 1


# ---------------------------------------------------------------- processes


def test_the_end_of_the_process_sends_what_is_left(server: Any) -> None:
    with app("atexit", server.url, "-", 50) as process:
        given = process.communicate(timeout=60)[0].split()
    assert process.returncode == 0
    assert ids(server.events(50)) == given


def test_forks_send_their_own(server: Any, tmp_path: Path) -> None:
    for folder in ("-", tmp_path / "spool"):
        server.log.unlink(missing_ok=True)
        with app("fork", server.url, folder, 10) as process:
            given = process.communicate(timeout=60)[0].split()
        assert process.returncode == 0
        assert len(given) == len(set(given)) == 50
        assert sorted(ids(server.events(50))) == sorted(given)
        names = [event.name for event in server.lines]
        assert {name: names.count(name) for name in set(names)} == {
            "parent before": 10, "parent after": 10, "child 0": 10, "child 1": 10, "child 2": 10
        }  # fmt: skip
    assert not list(tmp_path.glob("spool/**/*.jsonl"))


def test_children_of_multiprocessing_send_at_their_end(server: Any) -> None:
    with app("spawned", server.url, "-", 10) as process:
        given = process.communicate(timeout=60)[0].split()
    assert process.returncode == 0
    assert sorted(ids(server.events(20))) == sorted(given)


def test_kill_9_of_the_app_loses_nothing_that_is_on_the_disk(server: Any, client: Callable[..., almanac.Client], tmp_path: Path) -> None:
    given: list[str] = []
    for _ in range(2):
        with app("kill", DEAD, tmp_path / "spool", 45) as process:
            assert process.stdout is not None
            while (line := process.stdout.readline().strip()) != "ready":
                given.append(line)
            os.kill(process.pid, signal.SIGKILL)
    assert len(list(tmp_path.glob("spool/*/*/*.jsonl"))) >= 6
    later = client(spool=tmp_path / "spool")
    assert sorted(ids(server.events(90))) == sorted(given)
    until = time.monotonic() + 10
    while later.stats().waiting and time.monotonic() < until:
        time.sleep(0.02)
    assert later.stats().delivered == 90
    later.close()
    assert not list(tmp_path.glob("spool/*/*/*.jsonl"))


def test_processes_share_a_spool(server: Any, client: Callable[..., almanac.Client], tmp_path: Path) -> None:
    """Who lives sends his own; a batch that a crash cut off in the middle of a line gives what is whole; another key's are left alone."""
    folder = tmp_path / "spool"
    first = client(DEAD, spool=folder, close_seconds=0.1)
    waiting = first.track("first")
    while not list(folder.glob("*/*/*.jsonl")):
        time.sleep(0.01)
    torn = spool.folder_of(folder, KEY) / "0-dead"
    torn.mkdir()
    (torn / "lock").touch()
    (torn / "00000001.jsonl").write_text('{"id":"t1","event":"whole","user_id":"u"}\n{"id":"t2","event":"torn","properties":{"n":1}')
    strange = spool.folder_of(folder, "another key") / "0-dead"
    strange.mkdir(parents=True)
    (strange / "lock").touch()
    (strange / "00000001.jsonl").write_text('{"id":"x1","event":"another project\'s"}\n')
    second = client(spool=folder)
    second.track("second")
    second.flush()
    assert {event.name for event in server.events(2)} == {"second", "whole"}
    time.sleep(0.3)
    assert len(server.lines) == 2
    assert not torn.exists()
    assert second.stats().dropped == {}, "half a line was sent"
    assert first.close().waiting == 1
    third = client(spool=folder)
    assert ids(server.events(3))[2] == waiting
    third.close()
    assert (strange / "00000001.jsonl").exists()


def test_batches_that_may_have_been_forgotten_are_not_sent_again(
    client: Callable[..., almanac.Client], server: Any, tmp_path: Path
) -> None:
    room = spool.folder_of(tmp_path, KEY) / "0-dead"
    room.mkdir(parents=True)
    (room / "lock").touch()
    for name in ("00000001.jsonl", "00000002.tried.jsonl", "00000003.tried.jsonl"):
        (room / name).write_text(f'{{"id":"{name}","event":"old"}}\n')
    month_ago = time.time() - 30 * 86400
    for name in ("00000001.jsonl", "00000002.tried.jsonl"):
        os.utime(room / name, (month_ago, month_ago))
    sending = client(spool=tmp_path)
    assert ids(server.events(2)) == ["00000001.jsonl", "00000003.tried.jsonl"]
    assert sending.stats().dropped == {"expired": 1}


def test_the_spool_is_bounded(tmp_path: Path, client: Callable[..., almanac.Client]) -> None:
    problems: list[Problem] = []
    sending = client(
        DEAD, spool=tmp_path, spool_bytes=20_000, queue_events=100, batch_events=10, close_seconds=0.1, on_error=problems.append
    )
    for _ in range(1000):
        sending.track("beat")
        time.sleep(0.0005)
    assert sum(file.stat().st_size for file in tmp_path.glob("*/*/*.jsonl")) <= 20_000
    assert sending.stats().dropped["queue_full"] > 700
    assert {"spool", "queue_full"} <= {problem.reason for problem in problems}
    assert all(file.stat().st_mode & 0o77 == 0 for file in tmp_path.glob("*/*"))
    closes(sending.close())


def test_a_disk_that_refuses_costs_nothing_while_the_server_answers(
    client: Callable[..., almanac.Client], server: Any, tmp_path: Path
) -> None:
    (tmp_path / "spool").write_text("a file where the folder should be")
    problems: list[Problem] = []
    sending = client(spool=tmp_path / "spool" / "folder", on_error=problems.append)
    given = [sending.track("beat") for _ in range(30)]
    assert sending.flush(20)
    assert ids(server.events(30)) == given
    assert {problem.reason for problem in problems} == {"spool"}


# ---------------------------------------------------------------- how light it is


def test_it_loads_nothing_but_the_standard_library() -> None:
    program = """
import sys
before = set(sys.modules)
import almanac
almanac.Client.testing().track("beat")
mine = {name for name in set(sys.modules) - before if name.partition(".")[0] not in sys.stdlib_module_names}
print(sorted(name for name in mine if name != "almanac" and not name.startswith("almanac.sdk")))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_the_snippet_of_the_web_app(server: Any) -> None:
    found = re.search(r'id: "python".*?`(.*?)`', SNIPPETS.read_text(), re.DOTALL)
    assert found is not None
    program = found[1].replace("${key}", KEY).replace("${host}", server.url)
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    (event,) = server.events(1)
    assert (event.name, event.distinct_id, bytes(event.properties)) == ("signed_up", "ann", b'{"plan":"pro"}')


def test_it_is_a_package_of_its_own_too(server: Any, tmp_path: Path) -> None:
    """Built from the same files under another name; an app that has nothing else sends with it."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ALONE)]
    built = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.split("-")[:2] == ["almanac_sdk", VERSION]
    program = f"""
import sys
sys.path.insert(0, {str(wheel)!r})
from almanac_sdk import Client
client = Client({KEY!r}, {server.url!r})
print(client.track("beat"), client.flush())
assert not any(name == "almanac" or name.startswith("almanac.") for name in sys.modules)
"""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[1] == "True"
    assert ids(server.events(1)) == done.stdout.split()[:1]
    assert python_version("almanac") == VERSION


def test_a_listener_may_close_the_client(server: Any, flaky: Callable[..., Any]) -> None:
    line = flaky("500")
    sending = almanac.Client(KEY, line.url, flush_seconds=0.01, on_error=lambda problem: sending.close(5) and None)
    sending.track("beat")
    until = time.monotonic() + 10
    while "closed" not in sending.stats().dropped and time.monotonic() < until:
        time.sleep(0.01)
    closes(sending.stats())
    assert sending.stats().dropped == {"closed": 1}
    time.sleep(0.5)
    assert server.lines == []
