"""The collector as its own process, for real SDKs: `server.py PORT`; events go to the file `ALMANAC_TEST_LOG`, one line each.

Its write keys are `test-write-key` (project p1) and any `w-FAULT-FAULT-…-NONCE`, each a project of that name. The first requests of such a
key that hold events meet its faults, one each:

    500      thrown away; the answer is a proxy's page
    429 413 503   thrown away; the answer is the collector's own, in the protocol's own form
    close    thrown away; the connection ends without an answer
    slow     kept; the answer comes `SLOW` seconds later
    die      kept; the process is killed before it answers

What is thrown away is written to the log's `.refused`: the fault, a tab, the event.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final

import uvloop

from almanac.adapters.http_server import HttpServer
from almanac.core.errors import AlmanacError, invalid, limited, unavailable
from almanac.core.event import LINE_ENCODER, Event
from almanac.core.ports import Key, Project
from almanac.core.settings import Settings
from almanac.ingest.collector import Collector
from almanac.ingest.keys import KeyRing

LOG = Path(os.environ["ALMANAC_TEST_LOG"])
MET = LOG.parent / "faults"  # a file for each key, a byte for each fault that it met: they outlive the process
SLOW: Final = 5.0
PAGE: Final = b"<html><h1>Bad gateway</h1></html>"

_mishap: ContextVar[list[str]] = ContextVar("mishap")  # what becomes of the answer to this request


def refusal(fault: str) -> AlmanacError:
    if fault == "413":
        return invalid("The request is larger than 5 bytes.", status=413, way_out="Send fewer events in one request.")
    if fault == "429":
        return limited("Too many events.", way_out="Come back in a moment.", retry_after=1)
    return unavailable("The log is full.", way_out="Send it again.", retry_after=1)


class FileLog:
    async def append(self, events: Sequence[Event]) -> None:
        fault = self._next(events[0].project)
        if fault in ("", "slow", "die"):
            with LOG.open("ab") as file:
                file.write(LINE_ENCODER.encode_lines(events))
        else:
            with LOG.with_suffix(".refused").open("ab") as file:
                file.writelines(fault.encode() + b"\t" + LINE_ENCODER.encode(event) + b"\n" for event in events)
            _mishap.get().append(fault)
            raise refusal(fault)
        if fault == "slow":
            await asyncio.sleep(SLOW)
        elif fault == "die":
            os.kill(os.getpid(), signal.SIGKILL)

    def _next(self, project: str) -> str:
        faults = project.split("-")[1:-1]
        met = MET / project
        if not faults or (met.exists() and met.stat().st_size >= len(faults)):
            return ""
        MET.mkdir(exist_ok=True)
        with met.open("ab") as file:
            file.write(b"x")
        return faults[met.stat().st_size - 1]

    async def close(self) -> None: ...


class Keys:
    def find_key(self, secret: str) -> Key | None:
        if secret == "test-write-key":
            return Key("write", "p1", "test")
        return Key("write", secret, secret[:4]) if secret.startswith("w-") else None

    def project(self, id_or_name: str) -> Project:
        return Project(id_or_name, id_or_name)


async def nowhere(scope: Any, receive: Any, send: Any) -> None:
    """Says that the process is up, and writes down paths that no protocol claims."""
    if scope["type"] != "http":
        return
    if scope["path"] != "/up":
        with LOG.with_suffix(".unknown").open("a") as file:
            file.write(f"{scope['method']} {scope['path']}\n")
    await send({"type": "http.response.start", "status": 200 if scope["path"] == "/up" else 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def main(port: int) -> None:
    """Serves until it is ended."""
    collector = Collector(FileLog(), KeyRing(Keys()), Settings(data=LOG.parent), fallback=nowhere)  # type: ignore[arg-type]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        mishap: list[str] = []
        _mishap.set(mishap)

        async def answer(message: Any) -> None:
            if "500" in mishap:
                length = (b"content-length", b"%d" % len(PAGE))
                start = {"type": "http.response.start", "status": 500, "headers": [(b"content-type", b"text/html"), length]}
                message = start if message["type"] == "http.response.start" else {**message, "body": PAGE}
            if "close" not in mishap:
                await send(message)

        await collector(scope, receive, answer)

    await HttpServer(app).start("127.0.0.1", port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
