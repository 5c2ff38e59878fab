"""Imports as a person sees them: a bar while they run, and at the end what became of every event."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from almanac.core.errors import AlmanacError, Code
from almanac.core.ports import EventLogWriter
from almanac.core.settings import Settings
from almanac.ingest.importing import Job, Progress, import_file, writer_name
from almanac.web.client import Api
from almanac.web.terminal import say


class ImportDesk:
    """Runs imports against a server's ledger or against the rooms opened here, and counts what became of the events."""

    def __init__(
        self, settings: Settings, api: Api, *, open_log: Callable[[Settings, str], EventLogWriter], stuck: Callable[[], str]
    ) -> None:
        """`open_log(settings, name)`: an end of the event log to write to; `stuck`: why the load fails, "" while it does not."""
        self._settings = settings
        self._open_log = open_log
        self._api = api
        self._stuck = stuck

    def project(self, name: str) -> str:
        """The id of the project."""
        wanted = name or self._api.only_project()
        return str(self._api.call("GET", f"/api/v1/projects/{wanted}")["id"])

    def run(self, jobs: Sequence[Job]) -> dict[str, Any]:
        """Imports the files and waits until every event is stored, known as a duplicate or rejected."""
        project = jobs[0].project
        with writer_name(self._settings) as writer:
            since = time.time_ns() // 1000
            found = asyncio.run(self._import(jobs, writer))
            accepted = sum(progress.accepted - progress.accepted_before for progress in found)
            outcome = self._wait(f"/api/v1/projects/{quote(project, safe='')}/imports/{writer}", since, accepted)
        return {"project": project, "accepted": accepted, **outcome, "files": [asdict(progress) for progress in found]}

    def _wait(self, path: str, since: int, accepted: int) -> dict[str, int]:
        told = ""
        now: dict[str, int] = {}
        while True:
            try:
                now = self._api.call("GET", path, query={"since": since})
            except AlmanacError as error:
                if error.code is not Code.UNAVAILABLE:
                    raise
                if error.message != told:
                    told = error.message
                    say(f"The events are safe in the log; waiting for the server. {error.message}")
            if now and sum(now.values()) >= accepted:
                return now
            if (cause := self._stuck()) and cause != told:
                told = cause
                say(f"The events are safe in the log, but loading them fails: {cause}")
            time.sleep(0.1)

    async def _import(self, jobs: Sequence[Job], name: str) -> list[Progress]:
        found: list[Progress] = []
        with _progress_bar() as show:
            writer = self._open_log(self._settings, name)
            try:
                for job in jobs:
                    report = functools.partial(show, job.path.name)
                    found.append(
                        await import_file(
                            job,
                            writer=writer,
                            settings=self._settings,
                            clock=lambda: time.time_ns() // 1000,
                            hold=self._hold,
                            report=report,
                        )
                    )
            finally:
                await writer.close()
        return found

    async def _hold(self, error: AlmanacError) -> None:
        say(f"{error.message} The import goes on as soon as there is room.")
        await asyncio.sleep(error.retry_after or 1)


@contextmanager
def _progress_bar() -> Iterator[Callable[[str, Progress], None]]:
    """A bar a file on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TimeRemainingColumn())
    counts = TextColumn("{task.fields[records]} events")
    with Bar(*columns, counts, console=Console(stderr=True)) as bar:
        tasks: dict[str, Any] = {}

        def show(name: str, progress: Progress) -> None:
            if progress.file not in tasks:
                tasks[progress.file] = bar.add_task(name, total=progress.size or None, records=0)
            bar.update(tasks[progress.file], completed=progress.done, records=progress.records)

        yield show
