"""What is wrong with an installation, in words that say what to do: each check is one function with a name, a finding and a way out.

Works with the server up (its /health is taken over) and down (the data folder is looked at from outside, the store opened if it is free).
Over 300 lines: one check after the other, each of them short.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import os
import platform
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

import psutil

from almanac.adapters.log_file import FileLogReader
from almanac.core.errors import AlmanacError
from almanac.core.ports import Catalog, EventStore, Limits
from almanac.core.settings import MIB, Settings
from almanac.core.sql import sql
from almanac.ingest.agents import Registered, open_places
from almanac.ingest.ledger import Ledger, told_lost

LAG_LIMIT: Final = 60.0  # seconds that a running load may be behind
CLOCK_LIMIT: Final = 5.0  # seconds by which files may be newer than the clock
FUTURE_LIMIT: Final = timedelta(days=1)  # events that much later than now come from a sender's wrong clock
LEDGER_DAYS: Final = 7
PARTS: Final = ("almanac", "chdb", "clickhouse-connect", "granian", "httptools", "msgspec", "pydantic", "fastapi", "sqlalchemy", "pyarrow")

_LIMITS: Final = Limits(seconds=20.0, memory_bytes=128 * MIB, threads=1)


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `way_out` says what to do when it is not ok."""

    name: str
    ok: bool
    finding: str
    way_out: str = ""


class Opened(Protocol):
    """The rooms of a data folder that this process has opened."""

    @property
    def store(self) -> EventStore:
        """The events."""
        ...

    @property
    def ledger(self) -> Ledger:
        """The books."""
        ...


@dataclass(frozen=True)
class Patient:
    """What can be reached. `server`: what a running server said of itself (pid, url), if one answers; `health`: its /health checks;
    `opened`: the rooms, when this process could open them, else `closed` says why not; `key`: a key that somebody wonders about."""

    settings: Settings
    now: datetime
    catalog: Catalog | None = None
    server: Mapping[str, Any] | None = None
    health: Sequence[Mapping[str, Any]] = ()
    opened: Opened | None = None
    closed: AlmanacError | None = None
    key: str = ""


def examine(patient: Patient) -> list[Finding]:
    """All findings, in the order in which they should be mended. A check that fails is a finding too."""
    return [_safely(name, check, patient) for name, check in _CHECKS.items() if check is not _key or patient.key] + [
        Finding(f"server: {item['name']}", bool(item["ok"]), str(item["detail"]), str(item.get("way_out", ""))) for item in patient.health
    ]


def settings_refused(error: AlmanacError) -> list[Finding]:
    """The only finding when the settings themselves are wrong: nothing else can be looked at then."""
    return [Finding("settings", False, f"{error.message} ({error.place})" if error.place else error.message, error.way_out)]


def _safely(name: str, check: Callable[[Patient], Finding], patient: Patient) -> Finding:
    try:
        return check(patient)
    except AlmanacError as error:
        return Finding(name, False, error.message, error.way_out)
    except OSError as error:
        return Finding(name, False, f"It cannot be looked at: {error}.", "Check the rights of the data folder.")


def _settings(patient: Patient) -> Finding:
    file = patient.settings.data / "almanac.toml"
    given = sorted(name for name in os.environ if name.startswith("ALMANAC_"))
    sources = [str(file)] * file.is_file() + given
    return Finding("settings", True, f"They are valid; beside the defaults they come from {', '.join(sources) or 'nowhere'}.")


def _folder(patient: Patient) -> Finding:
    data = patient.settings.data
    if not data.exists():
        return Finding("data folder", True, f"{data} is not there yet; the first start makes it.")
    try:
        with tempfile.NamedTemporaryFile(dir=data):
            pass
    except OSError as error:
        owner = f"owned by user {data.stat().st_uid}, this is user {os.getuid()}"
        return Finding("data folder", False, f"{data} cannot be written: {error.strerror} ({owner}).", "Change its owner or its rights.")
    return Finding("data folder", True, f"{data} can be written.")


def _disk(patient: Patient) -> Finding:
    usage = shutil.disk_usage(_existing(patient.settings.data))
    needed = 2 * patient.settings.disk_reserve
    detail = f"{usage.free // MIB} MiB of {usage.total // MIB} MiB are free."
    way_out = f"Make room: below {patient.settings.disk_reserve // MIB} MiB (disk_reserve) senders are told to come back later."
    return Finding("disk", usage.free >= needed, detail, "" if usage.free >= needed else way_out)


def _server(patient: Patient) -> Finding:
    if patient.server is not None:
        return Finding("server", True, f"It runs as pid {patient.server.get('pid')} and answers on {patient.server.get('url')}.")
    if patient.settings.serve_file.exists():
        return Finding(
            "server",
            False,
            f"{patient.settings.serve_file} says that a server runs, but it does not answer.",
            "Start it with `almanac serve`; if it hangs, end it first.",
        )
    return Finding("server", True, "It does not run. Accepted events wait in the log.")


def _port(patient: Patient) -> Finding:
    host, port = patient.settings.host, patient.settings.port
    if patient.server is not None and str(patient.server.get("url", "")).endswith(f":{port}"):
        return Finding("port", True, f"Port {port} is the server's.")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            finding = f"Port {port} on {host} cannot be used: {error.strerror}. {listener(port)}".strip()
            return Finding("port", False, finding, "End that process, or choose another with --port.")
    return Finding("port", True, f"Port {port} on {host} is free.")


def listener(port: int) -> str:
    """Who listens on a port, in words; "" when the system does not tell."""
    try:
        connections = psutil.net_connections("tcp")
    except (psutil.AccessDenied, OSError):
        return ""
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port and connection.pid:
            return f"{_process(connection.pid)} listens there."
    return ""


def _process(pid: int) -> str:
    try:
        return f"Process {pid} ({psutil.Process(pid).name()})"
    except psutil.Error:
        return f"Process {pid}"


def _lock(patient: Patient) -> Finding:
    owner = patient.settings.store_folder / "owner"
    if not owner.exists() or patient.opened is not None:
        return Finding("engine lock", True, "Nobody else holds the event store.")
    with owner.open("r") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            pid = int(file.read().strip() or 0)
            if patient.server is not None:
                return Finding("engine lock", True, f"The server holds the event store (pid {pid}).")
            return Finding(
                "engine lock",
                False,
                f"{_process(pid)} holds the event store, and no server answers.",
                "Wait until it ends, or end it; an import or another command may be at work.",
            )
    if patient.closed is not None:
        return Finding("engine lock", False, patient.closed.message, patient.closed.way_out)
    return Finding("engine lock", True, "Nobody holds the event store.")


def _clock(patient: Patient) -> Finding:
    newest = max(_written(patient.settings), default=0.0)
    ahead = newest - patient.now.timestamp()
    if ahead > CLOCK_LIMIT:
        return Finding(
            "clock",
            False,
            f"Files were written {ahead:.0f} s later than this host's clock says it is now.",
            "The clock goes wrong or was set back: synchronise it (NTP).",
        )
    if patient.opened is None:
        return Finding("clock", True, "No file is newer than the clock.")
    statement = sql(
        """
        SELECT countIf(time > {limit:DateTime64(6, 'UTC')}), countIf(time_received > {soon:DateTime64(6, 'UTC')})
        FROM events
        WHERE day >= toDate({now:DateTime64(6, 'UTC')})
        """,
        {
            "limit": _text(patient.now + FUTURE_LIMIT),
            "soon": _text(patient.now + timedelta(seconds=CLOCK_LIMIT)),
            "now": _text(patient.now),
        },
    )
    future, received = patient.opened.store.query(statement, limits=_LIMITS).rows[0]
    if received:
        return Finding(
            "clock", False, f"{received} events were received later than now.", "This host's clock was set back: synchronise it."
        )
    if future:
        return Finding(
            "clock",
            False,
            f"{future} events say that they happen more than a day from now.",
            "Look at their senders' clocks: `almanac sql`.",
        )
    return Finding("clock", True, "No file and no event is newer than the clock allows.")


def _log(patient: Patient) -> Finding:
    reader = FileLogReader(patient.settings.log_folder)
    if lost := reader.lost():
        return Finding(
            "log",
            False,
            told_lost(lost),
            f"Put the .log file back into {patient.settings.log_folder} from a copy, and it is loaded by itself. If there is none, its"
            f" events are gone, but for what their senders kept; remove the file of that name in {reader.register} to close the matter.",
        )
    lag = reader.lag()
    waiting = f"{lag.events} events ({lag.bytes / MIB:.1f} MiB) wait in the log"
    if not lag.events:
        return Finding("log", True, "Everything is loaded.")
    if patient.server is None:
        return Finding("log", True, f"{waiting}; the next start loads them.")
    ok = lag.seconds <= LAG_LIMIT
    way_out = "" if ok else "See `server: load`: it fails or does not keep up."
    return Finding("log", ok, f"{waiting}, the oldest for {lag.seconds:.0f} s.", way_out)


def _ledger(patient: Patient) -> Finding:
    if patient.opened is None:
        return Finding("ledger", True, "The server keeps it; see `server: ledger`." if patient.server else "It cannot be read now.")
    gaps = [row for row in patient.opened.ledger.rows("", patient.now - timedelta(days=LEDGER_DAYS)) if row.gap]
    if not gaps:
        return Finding("ledger", True, f"Every event accepted in the last {LEDGER_DAYS} days is accounted for.")
    first = min(gaps, key=lambda row: row.hour)
    return Finding(
        "ledger",
        False,
        f"{sum(abs(row.gap) for row in gaps)} events are not accounted for, first in {first.project} at {first.hour:%Y-%m-%d %H:00} UTC.",
        "A piece of the log was removed or changed from outside; `almanac ledger` shows each hour.",
    )


def _memory(patient: Patient) -> Finding:
    allowed = patient.settings.store_memory
    left = psutil.virtual_memory().available
    detail = f"The engine may use {allowed // MIB} MiB; the host has {left // MIB} MiB left."
    if patient.opened is not None:
        used = patient.opened.store.memory_bytes()
        detail = f"The engine holds {used // MIB} of {allowed // MIB} MiB; the host has {left // MIB} MiB left."
        if used > 0.95 * allowed:
            return Finding("memory", False, detail, "Raise store_memory, or ask for less at once (question_slots, question_memory).")
    ok = patient.server is not None or left > allowed // 2
    return Finding("memory", ok, detail, "" if ok else "End other programs, or lower store_memory.")


def _versions(patient: Patient) -> Finding:
    found: dict[str, str] = {}
    missing: list[str] = []
    for name in PARTS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    words = ", ".join(f"{name} {version}" for name, version in found.items())
    if patient.opened is not None:
        words += f", engine {patient.opened.store.query(sql('SELECT version()')).rows[0][0]}"
    words = f"Python {platform.python_version()}, {words}."
    if missing:
        return Finding("versions", False, f"{words} Not installed: {', '.join(missing)}.", "Install almanac again with its dependencies.")
    return Finding("versions", True, words)


def _geo(patient: Patient) -> Finding:
    name = patient.settings.geo_file
    if not name:
        return Finding("geo file", True, f"None is set; countries are those of {Registered().source}, without regions and cities.")
    if not Path(name).is_file():
        return Finding("geo file", False, f"{name} is not there.", "Correct geo_file, or leave it empty.")
    open_places(name)
    return Finding("geo file", True, f"{name} can be read.")


def _key(patient: Patient) -> Finding:
    if patient.catalog is None:
        return Finding("key", False, "The catalog cannot be read, so the key cannot be looked up.", "Mend the findings above first.")
    key = patient.catalog.find_key(patient.key)
    if key is None:
        way_out = "Check that it was copied whole, and --data; `almanac key list` shows the first and last characters."
        return Finding("key", False, "It is not known here.", way_out)
    uses = {
        "write": "It sends events; it cannot ask.",
        "read": "It asks and reads; it cannot send events.",
        "admin": "It may do everything.",
    }
    where = f"the project {key.project}" if key.project else "the whole server"
    return Finding("key", True, f"It is a key of role {key.role} for {where}. {uses.get(key.role, '')}".strip())


_CHECKS: Final[dict[str, Callable[[Patient], Finding]]] = {
    "settings": _settings,
    "versions": _versions,
    "data folder": _folder,
    "disk": _disk,
    "memory": _memory,
    "server": _server,
    "port": _port,
    "engine lock": _lock,
    "clock": _clock,
    "log": _log,
    "ledger": _ledger,
    "geo file": _geo,
    "key": _key,
}


def _existing(path: Path) -> Path:
    return next(folder for folder in (path.resolve(), *path.resolve().parents) if folder.exists())


def _written(settings: Settings) -> Iterator[float]:
    """When the files that Almanac writes all the time were written, seconds since 1970."""
    for folder in (settings.data, settings.log_folder, settings.data / "run"):
        if folder.is_dir():
            for entry in os.scandir(folder):
                try:
                    if entry.is_file():
                        yield entry.stat().st_mtime
                except FileNotFoundError:  # loaded in this moment
                    continue


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
