"""The collector as its own process, for real SDKs: `server.py PORT`; events go to the file `ALMANAC_TEST_LOG`, one line each."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvloop

from almanac.adapters.http_server import HttpServer
from almanac.core.event import LINE_ENCODER, Event
from almanac.core.ports import Key, Project
from almanac.core.settings import Settings
from almanac.ingest.collector import Collector
from almanac.ingest.keys import KeyRing

LOG = Path(os.environ["ALMANAC_TEST_LOG"])


class FileLog:
    async def append(self, events: Sequence[Event]) -> None:
        with LOG.open("ab") as file:
            file.write(LINE_ENCODER.encode_lines(events))

    async def close(self) -> None: ...


class Keys:
    def find_key(self, secret: str) -> Key | None:
        return Key("write", "p1", "test") if secret == "test-write-key" else None

    def project(self, id_or_name: str) -> Project:
        return Project("p1", "p1")


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
    await HttpServer(collector).start("127.0.0.1", port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
