"""All settings in one table: name, type, default, unit, help.

A setting comes from (later wins) its default, `almanac.toml` in the data folder, the environment (`ALMANAC_` + NAME, or the file that
`ALMANAC_` + NAME + `_FILE` names, for secrets), and the command line. A bad value is refused by its name at start.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from almanac.core.errors import invalid

MIB = 1 << 20


def setting(default: Any, unit: str, help_: str, *, least: float | None = None, most: float | None = None, secret: bool = False) -> Any:
    """Declares one setting with its unit, its help and the bounds that it is checked against."""
    return field(default=default, metadata={"unit": unit, "help": help_, "least": least, "most": most, "secret": secret})


@dataclass(frozen=True)
class Settings:
    """Everything that can be set. The reference in docs/ is printed from here."""

    data: Path = setting(Path("almanac-data"), "path", "Folder of all embedded data: log/ store/ catalog.db files/.")
    host: str = setting("127.0.0.1", "address", "Address to listen on.")
    port: int = setting(8000, "port", "Port of everything: collection, API and pages.", least=1, most=65535)
    role: str = setting("all", "name", "Which part this process plays: all, collect, load, query or watch.")
    collectors: int = setting(0, "processes", "Collector processes; 0: one per core beyond the first, at least one.", least=0, most=64)

    log: str = setting("", "address", "Event log; empty: files under the data folder. kafka://host:9092/topic for Kafka.")
    store: str = setting(
        "", "address", "Event store; empty: the embedded engine. clickhouse://user:password@host:8123/db for a server.", secret=True
    )
    catalog: str = setting("", "address", "Catalog; empty: catalog.db under the data folder. postgresql://… for PostgreSQL.", secret=True)
    cache: str = setting("", "address", "Cache of answers; empty: in memory. redis://… for Redis.", secret=True)

    body_limit: int = setting(32 * MIB, "bytes", "Largest request body, after unpacking.", least=1024)
    event_limit: int = setting(1 * MIB, "bytes", "Largest single event.", least=1024)
    batch_limit: int = setting(20_000, "events", "Most events in one request.", least=1)
    depth_limit: int = setting(64, "levels", "Deepest nesting of an event's properties.", least=4, most=500)
    skew_tolerance: float = setting(5.0, "seconds", "Clock difference of a sender that is left uncorrected.", least=0)
    quota: int = setting(
        0, "events/s", "Events per second that a write key may send unless its project says otherwise; 0: no limit.", least=0
    )

    log_limit: int = setting(4096 * MIB, "bytes", "Most that the log may hold before senders are told to come back.", least=MIB)
    disk_reserve: int = setting(512 * MIB, "bytes", "Free disk space below which senders are told to come back.", least=0)
    segment_size: int = setting(32 * MIB, "bytes", "Size at which a piece of the log is sealed.", least=65536)
    segment_age: float = setting(0.2, "seconds", "Age at which a piece of the log is sealed.", least=0.01, most=60)

    batch_size: int = setting(48 * MIB, "bytes", "How much of the log one load takes at most.", least=65536)
    dedup_days: int = setting(8, "days", "How long a message id is remembered, at least.", least=7, most=400)
    geo_file: str = setting(
        "", "path", "A .mmdb or .csv file with the places of addresses, instead of the countries that come with the package."
    )
    source_networks: str = setting(
        "", "networks", "Private networks that sources may fetch from, such as 10.1.0.0/16, 127.0.0.1/32; empty: the public internet alone."
    )

    store_memory: int = setting(1200 * MIB, "bytes", "Memory that the embedded engine may use.", least=256 * MIB)
    question_memory: int = setting(
        640 * MIB, "bytes", "Memory that one question may use before it is refused; it spills to disk at half of it.", least=32 * MIB
    )
    question_seconds: float = setting(60.0, "seconds", "Time that one question may take.", least=0.1)
    question_slots: int = setting(4, "questions", "Questions that run at once; further ones queue.", least=1, most=64)
    project_slots: int = setting(0, "questions", "Questions of one project that run at once; 0: as many as there are places.", least=0)
    project_queue: int = setting(100, "questions", "Questions of one project that may wait for their turn.", least=1)
    queue_seconds: float = setting(20.0, "seconds", "Longest wait of a question for its turn.", least=0)
    slow_seconds: float = setting(5.0, "seconds", "Questions that take so long are written to the log, with advice.", least=0)
    cache_seconds: float = setting(
        10.0, "seconds", "How long an answer whose range ends now is given again while nothing new is stored; 0: never.", least=0
    )
    cache_stale_seconds: float = setting(0.0, "seconds", "How long an answer is given again although something new is stored.", least=0)

    admin_key: str = setting("", "secret", "Key for everything; empty: made at the first start and kept in the catalog.", secret=True)
    log_level: str = setting("info", "name", "debug, info, warning or error.")

    @property
    def log_folder(self) -> Path:
        """Where the file log lives."""
        return self.data / "log"

    @property
    def store_folder(self) -> Path:
        """Where the embedded engine lives."""
        return self.data / "store"

    @property
    def serve_file(self) -> Path:
        """Where a running server says how to reach it."""
        return self.data / "serve.json"

    @property
    def collector_count(self) -> int:
        """Collector processes to start."""
        return self.collectors or max(1, (os.cpu_count() or 1) - 1)


ROLES = ("all", "collect", "load", "query", "watch")
LEVELS = ("debug", "info", "warning", "error")


def load(given: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from all places. Raises `invalid` with the setting's name, the value and what would be right."""
    environment = os.environ if environment is None else environment
    given = {name: value for name, value in (given or {}).items() if value is not None}
    values: dict[str, Any] = {}
    data = Path(str(given.get("data") or environment.get("ALMANAC_DATA") or Settings.data))
    file = data / "almanac.toml"
    known = {item.name: item for item in fields(Settings)}
    if file.is_file():
        try:
            written = tomllib.loads(file.read_text())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise invalid(f"The settings file is not valid TOML: {error}.", place=str(file)) from None
        for name, value in written.items():
            if name not in known:
                raise invalid(f"There is no setting {name!r}.", place=str(file), way_out=f"There are: {', '.join(known)}.")
            values[name] = _checked(name, value, str(file))
    for name in known:
        variable = f"ALMANAC_{name.upper()}"
        if f"{variable}_FILE" in environment:
            path = Path(environment[f"{variable}_FILE"])
            if not path.is_file():
                raise invalid(f"The file {path} does not exist.", place=f"{variable}_FILE")
            values[name] = _checked(name, path.read_text().strip(), f"{variable}_FILE")
        elif variable in environment:
            values[name] = _checked(name, environment[variable], variable)
    for name, value in given.items():
        values[name] = _checked(name, value, f"--{name.replace('_', '-')}")
    values["data"] = data
    return Settings(**values)


def _checked(name: str, value: Any, place: str) -> Any:
    item = next(item for item in fields(Settings) if item.name == name)
    kind: type[Any] = type(item.default)
    try:
        converted = Path(str(value)) if isinstance(item.default, Path) else kind(value)
    except (TypeError, ValueError):
        wanted = {"int": "a whole number", "float": "a number"}.get(kind.__name__, "a text")
        raise invalid(f"{name} is {value!r}, but it has to be {wanted} ({item.metadata['unit']}).", place=place) from None
    least, most = item.metadata["least"], item.metadata["most"]
    if (least is not None and converted < least) or (most is not None and converted > most):
        bounds = f"at least {least}" if most is None else f"from {least} to {most}"
        unit = "" if item.metadata["unit"] == name else f" {item.metadata['unit']}"
        raise invalid(f"{name} is {converted}, but it has to be {bounds}{unit}.", place=place)
    if name == "role" and converted not in ROLES:
        raise invalid(f"role is {converted!r}, but it has to be one of {', '.join(ROLES)}.", place=place)
    if name == "log_level" and converted not in LEVELS:
        raise invalid(f"log_level is {converted!r}, but it has to be one of {', '.join(LEVELS)}.", place=place)
    return converted
