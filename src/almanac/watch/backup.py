"""Backups: one folder with everything, made while events come in, and put back into an empty data folder.

Order matters. The log is copied first, then the store: what is loaded in between is in both, and the load counts it once when it comes
again (by its message id). The other way round it would be in neither.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from almanac.core.errors import conflict, invalid, not_found
from almanac.core.ports import EventStore
from almanac.core.settings import Settings

MANIFEST: Final = "backup.json"  # written last: a folder without it is no backup
_PASSES: Final = 20


def make(folder: Path, settings: Settings, store: EventStore, version: str, now: datetime) -> dict[str, Any]:
    """Backs up to `folder`, empty or absent; answers with its manifest (version, time, bytes). Raises `conflict` for a folder in use."""
    if settings.store or settings.catalog or settings.log:
        raise invalid(
            "Only embedded data is backed up from here.",
            place="store",
            way_out="Use the backup of the ClickHouse, PostgreSQL and Kafka in use.",
        )
    folder = folder.resolve()
    if folder.exists() and any(folder.iterdir()):
        raise conflict(f"{folder} is not empty.", place=str(folder), way_out="Choose a new folder for each backup.")
    folder.mkdir(parents=True, exist_ok=True)
    _copy_log(settings.log_folder, folder / "log")
    store.backup(folder)
    _copy_catalog(settings.data / "catalog.db", folder / "catalog.db")
    if (settings.data / "files").is_dir():
        shutil.copytree(settings.data / "files", folder / "files", ignore=shutil.ignore_patterns("*.lock"))
    if (settings.data / "almanac.toml").is_file():
        shutil.copy2(settings.data / "almanac.toml", folder / "almanac.toml")
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    manifest = {"version": version, "at": now.isoformat(), "bytes": size}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return {"folder": str(folder), **manifest}


def restore(folder: Path, settings: Settings, fill_store: Callable[[Path], None]) -> dict[str, Any]:
    """Puts a backup into an empty data folder; `fill_store` fills the store from it. Answers with the manifest.

    Raises `not_found` for a folder that holds no whole backup, and `conflict` for a data folder in use.
    """
    folder = folder.resolve()
    if not (folder / MANIFEST).is_file():
        raise not_found(f"{folder} holds no complete backup.", place=str(folder), way_out="Name the folder that `almanac backup` wrote to.")
    used = [name for name in ("catalog.db", "store", "log", "log-register") if (settings.data / name).exists()]
    if used:
        raise conflict(
            f"The data folder {settings.data} holds data already ({', '.join(used)}).",
            place=str(settings.data),
            way_out="Restore into a new folder with --data; nothing is ever overwritten.",
        )
    settings.data.mkdir(parents=True, exist_ok=True)
    fill_store(folder)
    for name in ("log", "files"):
        if (folder / name).is_dir():
            shutil.copytree(folder / name, settings.data / name)
    for name in ("almanac.toml", "catalog.db"):
        if (folder / name).is_file():
            shutil.copy2(folder / name, settings.data / name)
    found: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    return found


def _copy_log(source: Path, target: Path) -> None:
    """Segments come, are sealed (renamed) and go while this looks at them: again until a pass finds nothing new."""
    target.mkdir(parents=True)
    if not source.is_dir():
        return
    copied: set[str] = set()
    for _ in range(_PASSES):
        names = {file.name for file in source.iterdir() if file.suffix in (".log", ".open", ".tally")} - copied
        if not names:
            return
        for name in sorted(names):
            try:
                shutil.copy2(source / name, target / name)
            except FileNotFoundError:
                continue  # sealed under its new name, or loaded: then the store has it
            finally:
                copied.add(name)
            if name.endswith(".log"):  # an open piece that was copied before is part of this one
                (target / name).with_suffix(".open").unlink(missing_ok=True)


def _copy_catalog(source: Path, target: Path) -> None:
    if not source.is_file():
        return
    with sqlite3.connect(f"file:{source}?mode=ro", uri=True) as live, sqlite3.connect(target) as copy:
        live.backup(copy)
    live.close()
    copy.close()
