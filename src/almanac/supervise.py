"""Starts the processes of `almanac serve` and keeps them running. Standard library only: it weighs 15 MB and does nothing that can fail.

Run as `python -m almanac.supervise SETTINGS_JSON`; settings are what `almanac.core.settings.Settings` holds, as texts.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from typing import Any

_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG: children must not outlive this process and keep the port
_CALM = 10.0  # seconds after which a process counts as well
_DRAIN = 25.0  # seconds that a process gets to finish what is under way


class Child:
    """One process that is started again when it dies."""

    def __init__(self, name: str, environment: dict[str, str]) -> None:
        self.name = name
        self._environment = environment
        self._deaths = 0
        self._started = 0.0
        self._not_before = 0.0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, unless it runs or died a moment ago."""
        now = time.monotonic()
        if self.process is not None and self.process.poll() is None:
            return
        if self.process is not None:
            self._deaths = 0 if now - self._started > _CALM else self._deaths + 1
            self._not_before = self._not_before or now + min(5.0, 0.1 * 2.0**self._deaths)
            if now < self._not_before:
                return
            print(f"almanac: {self.name} ended with {self.process.returncode}, starting it again", file=sys.stderr, flush=True)
        self._not_before = 0.0
        self._started = now
        command = [sys.executable, "-m", "almanac.app", *self.name.split(" ")]
        self.process = subprocess.Popen(command, env=self._environment, preexec_fn=_die_with_parent)

    def stop(self, deadline: float) -> None:
        """Asks it to finish, and ends it at the deadline."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _beside(settings: dict[str, Any], environment: dict[str, str]) -> subprocess.Popen[bytes] | None:
    """A process that is not started again when it ends, such as the demo's sender."""
    if not settings.get("beside"):
        return None
    command = [sys.executable, "-m", "almanac.app", *str(settings["beside"]).split(" ")]
    return subprocess.Popen(command, env=environment, preexec_fn=_die_with_parent)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; only this process decides


def main(text: str) -> int:
    """Runs until SIGTERM or SIGINT."""
    settings: dict[str, Any] = json.loads(text)
    host, port = str(settings["host"]), int(settings["port"])
    if problem := _port_taken(host, port):
        print(f"almanac: {problem}", file=sys.stderr)
        return 1
    folder = tempfile.mkdtemp(prefix="almanac-")
    environment = {**os.environ, "ALMANAC_PROCESS": json.dumps({**settings, "socket": f"{folder}/engine.sock"})}
    collectors = [Child(f"collect {number}", environment) for number in range(int(settings["collector_count"]))]
    engine = [Child("engine", environment)] if settings["role"] != "collect" else []
    beside = _beside(settings, environment)
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        while not stopping:
            for child in [*engine, *collectors]:
                child.start()
            if beside is not None and beside.poll() is not None:
                beside = None
            time.sleep(0.05)
        deadline = time.monotonic() + _DRAIN
        for child in [*collectors, *engine]:
            child.stop(deadline)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _port_taken(host: str, port: int) -> str:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return f"cannot listen on {host}:{port}: {error.strerror}. Choose another --port, or see `almanac doctor`."
    return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
