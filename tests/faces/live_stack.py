"""The live face as it runs, in this process: a collector's port in front, the engine's app behind it on a Unix socket."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import uvloop
from websockets.sync.client import ClientConnection, connect

from almanac.adapters.http_server import HttpServer
from almanac.app import _listening
from almanac.web.forward import Forward, live_socket
from almanac.web.live import Live
from almanac.web.rest import create_app
from almanac.web.rooms import Rooms


class Stack:
    """Started when made; `stop` ends it."""

    def __init__(self, rooms: Rooms, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.rooms = rooms
        self._path = folder / "engine.sock"
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._run()))
        self._thread.start()
        assert self._ready.wait(10)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        app = create_app(self.rooms)
        self.live: Live = app.state.live
        forward = Forward(self._path)
        self.server = HttpServer(forward)
        async with _listening(app, uds=self._path), self.live.listen(live_socket(self._path)):
            await self.server.start("127.0.0.1", self.port)
            while not self._path.exists():
                await asyncio.sleep(0.01)
            self._ready.set()
            await self._stop.wait()
            await self.server.stop(2)
            forward.close()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        assert not self._thread.is_alive()

    def figure(self, name: str) -> float:
        """A figure of the live face, as /metrics has it."""
        return next(sample.value for family in self.live.collect() for sample in family.samples if sample.name == f"almanac_live_{name}")

    def client(self, key: str = "", **more: Any) -> Client:
        """A connection that shows this key in its header."""
        return Client(self.port, key, **more)


class Client:
    """A WebSocket client that speaks JSON."""

    def __init__(self, port: int, key: str = "", **more: Any) -> None:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self._ending = ExitStack()
        made = connect(f"ws://127.0.0.1:{port}/api/v1/live", additional_headers=headers, proxy=None, max_size=None, **more)
        self.socket: ClientConnection = self._ending.enter_context(made)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.close()

    def send(self, **message: Any) -> None:
        self.socket.send(json.dumps(message))

    def next(self, seconds: float = 40, *, of: str = "") -> dict[str, Any]:
        """The next message, of that type if one is given; pings are passed over."""
        deadline = time.monotonic() + seconds
        while True:
            found: dict[str, Any] = json.loads(self.socket.recv(timeout=max(0.01, deadline - time.monotonic())))
            if found["type"] != "ping" and (not of or found["type"] == of):
                return found

    def subscribe(self, project: str, question: dict[str, Any], *, id_: str = "q", since: str = "") -> dict[str, Any]:
        """The first answer."""
        self.send(type="subscribe", id=id_, project=project, question=question, since=since)
        return self.next()

    def quiet(self, seconds: float = 0.7) -> bool:
        """Whether nothing comes for so long."""
        try:
            self.next(seconds)
        except TimeoutError:
            return True
        return False


def until(what: Callable[[], bool], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.01)
