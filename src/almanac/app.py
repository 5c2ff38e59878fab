"""Rooms -> processes: the engine, the collectors, and a demo beside them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from almanac.core.errors import AlmanacError, Code, invalid, unavailable
from almanac.core.ports import Catalog
from almanac.core.settings import Settings
from almanac.house import VERSION, Local, log_writer, open_catalog, open_local, rooms_of

_HANDOVER = 1.0  # seconds that the engine process before this one may need to let go of the store, unsaid


# ----------------------------------------------------------------- processes


def serve(settings: Settings, *, beside: str = "") -> int:
    """Runs everything until it is stopped: this process becomes the supervisor of the others. `beside`: words of a further process of
    this file, run once."""
    if settings.role not in ("all", "collect"):
        raise invalid(
            f"The role {settings.role} needs a store and a log that several machines reach.",
            place="role",
            way_out="With embedded data use --role all, or --role collect beside it on the same folder.",
        )
    open_catalog(settings).close()  # what is wrong with the data folder is said now, and once
    given = {item.name: str(getattr(settings, item.name)) for item in fields(settings)}
    given["collector_count"] = str(settings.collector_count)
    given["beside"] = beside
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "almanac.supervise", json.dumps(given)])


def _process_settings() -> tuple[Settings, Path]:
    given: dict[str, Any] = json.loads(os.environ["ALMANAC_PROCESS"])
    socket = Path(given.pop("socket"))
    given.pop("collector_count")
    given.pop("beside")
    defaults = asdict(Settings())
    return Settings(**{name: type(defaults[name])(value) for name, value in given.items()}), socket


def _log_plainly(settings: Settings) -> None:
    import structlog

    levels = {"debug": 10, "info": 20, "warning": 30, "error": 40}
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(levels[settings.log_level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,  # plain: local variables hold keys
            structlog.dev.ConsoleRenderer(colors=False),
        ],
    )


@asynccontextmanager
async def _listening(app: Any, uds: Path) -> AsyncIterator[None]:
    """Serves an ASGI app on a socket of this machine, to collectors that hand requests over."""
    from almanac.adapters.http_server import HttpServer

    server = HttpServer(app)
    await server.start_unix(uds)
    try:
        yield
    finally:
        await server.stop(5)


async def _until_stopped() -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopped.set)
    await stopped.wait()


async def collect(settings: Settings, socket: Path, number: int) -> None:
    """A collector process: owns the public port together with its like, and hands all else to the engine process."""
    from almanac.adapters.http_server import HttpServer
    from almanac.ingest import hook_book
    from almanac.ingest.collector import Collector
    from almanac.ingest.keys import KeyRing
    from almanac.web.forward import Forward

    catalog = open_catalog(settings)
    writer = log_writer(settings, f"collector-{number}")
    forward = Forward(socket)
    collector = Collector(writer, KeyRing(catalog), settings, fallback=forward, workers=settings.collector_count)
    telling = asyncio.create_task(
        _tell(settings, number, lambda: {**collector.counters(), "log": writer.state(), "hooks": hook_book.seen()})
    )
    server = HttpServer(collector)
    await server.start(settings.host, settings.port)
    try:
        await _until_stopped()
        with contextlib.suppress(TimeoutError):  # a slow upload may take a minute; its sender comes again
            await asyncio.wait_for(collector.drain(), 15)
        await writer.close()
    finally:
        await server.stop(5)
        forward.close()
    telling.cancel()
    catalog.close()


async def _tell(settings: Settings, number: int, counters: Callable[[], dict[str, Any]]) -> None:
    """Writes this collector's counters where the engine process finds them."""
    file = settings.data / "run" / f"collector-{number}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    while True:
        fresh = file.with_suffix(f".{os.getpid()}")
        with contextlib.suppress(OSError):
            fresh.write_text(json.dumps({"collector": number, "pid": os.getpid(), "at": time.time(), **counters()}))
            fresh.replace(file)
        await asyncio.sleep(1)


async def run_engine(settings: Settings, socket: Path) -> None:
    """The engine process: load, questions, faces."""
    from almanac.web.forward import live_socket, reason_file
    from almanac.web.rest import create_app

    with contextlib.ExitStack() as stack:
        local = _patiently(settings, socket, stack)
        admin_key = _admin_key(settings, local.catalog)
        local.loader.start()
        rooms = rooms_of(local)
        if rooms.importers is not None:
            rooms.importers.start()
            stack.callback(rooms.importers.stop)
        socket.unlink(missing_ok=True)
        reason_file(socket).unlink(missing_ok=True)
        app = create_app(rooms)
        live_socket(socket).unlink(missing_ok=True)
        async with _listening(app, uds=socket), app.state.live.listen(live_socket(socket)):
            _announce(settings, admin_key)
            await _until_stopped()
        settings.serve_file.unlink(missing_ok=True)
        local.loader.stop()


async def run_source(settings: Settings, project: str, name: str) -> None:
    """One run of a source of files, in a process of its own. What it did and how it ended is in the source's state."""
    from almanac.core.source import DOCUMENT, STATE, Files, source_of
    from almanac.ingest.importing import writer_name
    from almanac.ingest.source_book import held
    from almanac.ingest.source_run import Outcome, Run
    from almanac.watch.sources import after

    with contextlib.closing(open_catalog(settings)) as catalog, contextlib.ExitStack() as stack:
        try:
            stack.enter_context(held(settings, project, name))
        except AlmanacError:
            return  # another process is at it
        document = catalog.get(DOCUMENT, project, name)
        source = source_of(document["source"]) if document is not None else None
        if not isinstance(source, Files):
            return
        before = catalog.get(STATE, project, name) or {}

        def tell(outcome: Outcome) -> None:
            catalog.put(STATE, project, name, {**before, "run": outcome.as_json()})

        writer = log_writer(settings, stack.enter_context(writer_name(settings)))
        run = Run(project, name, source, writer=writer, settings=settings, clock=lambda: time.time_ns() // 1000, tell=tell)
        try:
            outcome = await run()
        finally:
            await writer.close()
        if catalog.get(DOCUMENT, project, name) is not None:
            catalog.put(STATE, project, name, after(before, outcome.as_json(), retryable=outcome.retryable))


def _admin_key(settings: Settings, catalog: Catalog) -> str:
    """The server's own key. The catalog keeps only its hash, so a key made here is kept in a file that its owner alone reads."""
    file = settings.data / "admin.key"
    made = catalog.ensure_admin(settings.admin_key)
    if made and not settings.admin_key:
        file.touch(mode=0o600)
        file.write_text(made)
    return made or (file.read_text().strip() if file.is_file() else "")


def _patiently(settings: Settings, socket: Path, stack: contextlib.ExitStack) -> Local:
    """Opens the rooms, as soon as whoever holds the store lets go of it; collectors take events meanwhile, and tell those who ask why."""
    import structlog

    from almanac.web.forward import reason_file

    reason, began = "", time.monotonic()
    while True:
        try:
            return stack.enter_context(open_local(settings))
        except AlmanacError as error:
            if error.code is not Code.CONFLICT:
                raise
            waited = time.monotonic() - began
            if reason != error.message and waited > _HANDOVER:
                reason = error.message
                structlog.get_logger().warning("waiting", reason=reason, way_out="It goes on by itself when that process ends.")
                told = f"The part that answers questions waits: {reason.rstrip('.')}; events are taken meanwhile."
                reason_file(socket).write_text(told)
            time.sleep(min(1.0, 0.1 + waited / 10))
        except OSError as error:
            way_out = "Make room, or mend its rights; it goes on by itself."
            raise unavailable(f"The data folder cannot be written: {error.strerror}.", way_out=way_out) from error


def _announce(settings: Settings, admin_key: str) -> None:
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host
    url = f"http://{host}:{settings.port}"
    fresh = settings.serve_file.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps({"pid": os.getpid(), "url": url, "admin_key": admin_key, "version": VERSION}))
    fresh.replace(settings.serve_file)
    print(f"Almanac serves on {url}", flush=True)


# ---------------------------------------------------------------------- demo


def demo(settings: Settings, *, events: int, pack: str = "shop") -> int:
    """Serves, with a made-up life in a project of the pack's name that goes on while it serves. A second run on the same folder sends
    no past again."""
    catalog = open_catalog(settings)
    try:
        if not _demo_file(settings).is_file():
            _, keys = catalog.create_project(pack)
            _demo_file(settings).touch(mode=0o600)
            _demo_file(settings).write_text(json.dumps({"project": pack, "pack": pack, "events": events, **keys}))
    finally:
        catalog.close()
    return serve(settings, beside="demo")


def _demo_file(settings: Settings) -> Path:
    return settings.data / "demo.json"


def fill_demo(settings: Settings) -> None:
    """Waits for the server, sends what was not sent yet, says where to look, and goes on with a trickle."""
    from almanac.core.errors import AlmanacError
    from almanac.watch.demo import commands, progress_bar, run_demo, start_page
    from almanac.watch.trickle import trickle

    file = _demo_file(settings)
    told: dict[str, Any] = json.loads(file.read_text())
    while not settings.serve_file.is_file():
        time.sleep(0.05)
    url = str(json.loads(settings.serve_file.read_text())["url"])
    if "sent" not in told:
        now = datetime.now(UTC)
        with progress_bar() as progress:
            told["sent"] = run_demo(url, told["write"], told["read"], told["pack"], told["events"], progress, now=now)
        catalog = open_catalog(settings)
        project = catalog.project(told["project"])
        catalog.update_project(replace(project, settings={**project.settings, "start_page": start_page(told["pack"])}))
        catalog.close()
        told["since"] = now.isoformat()
        file.write_text(json.dumps(told))
    sent = told["sent"]
    print(f"\n{sent['stored']:,} events of a made-up {told['pack']} can be asked about, and some more come every second.\n")
    print(f"  {url}\n\nThe first visit makes the owner's account. A glance without one:\n")
    print(f"  {url}/start#key={told['read']}&project={told['project']}\n\nThree things to try in another terminal:\n")
    program = Path(sys.executable).with_name("almanac")
    data = "" if settings.data == Settings.data else str(settings.data)
    shown = os.path.relpath(program) if program.is_relative_to(Path.cwd()) else str(program)
    for line in commands(url, told["project"], told["read"], pack=told["pack"], program=shown, data=data):
        print(f"  {line}\n")
    print("Ctrl-C stops it.", flush=True)
    since = datetime.fromisoformat(told.setdefault("since", datetime.now(UTC).isoformat()))
    try:
        trickle(url, told["write"], told["pack"], since=since, turns=_turns(file, told), stop=threading.Event())
    except AlmanacError as error:
        print(f"almanac: the demo sends no further events: {error.message} {error.way_out}", file=sys.stderr, flush=True)


def _turns(file: Path, told: dict[str, Any]) -> Iterator[int]:
    """Numbers that never come again: each is kept before it is used."""
    while True:
        told["turn"] = told.get("turn", 0) + 1
        fresh = file.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps(told))
        fresh.replace(file)
        yield told["turn"]


def main(arguments: Sequence[str]) -> None:
    """`python -m almanac.app` with `engine`, `collect NUMBER` or `demo`, started by the supervisor, or `source PROJECT NAME`."""
    import uvloop

    settings, socket = _process_settings()
    _log_plainly(settings)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a live connection takes two; the usual bound is 1024
    if arguments[0] == "engine":
        try:
            uvloop.run(run_engine(settings, socket))
        except AlmanacError as error:  # it is started again; whoever asks meanwhile is told why
            from almanac.web.forward import reason_file

            reason_file(socket).write_text(f"The part that answers questions cannot start: {error.message}")
            sys.exit(f"almanac: {error}")
    elif arguments[0] == "collect":
        uvloop.run(collect(settings, socket, int(arguments[1])))
    elif arguments[0] == "demo":
        fill_demo(settings)
    elif arguments[0] == "source":
        uvloop.run(run_source(settings, arguments[1], arguments[2]))
    else:
        raise unavailable(f"There is no process {arguments[0]!r}.")


if __name__ == "__main__":
    main(sys.argv[1:])
