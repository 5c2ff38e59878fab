"""A web site for tests of browsers: pages, and a path of its own that leads to Almanac, with faults on the way."""

from __future__ import annotations

import http.client
import http.server
import json
import threading
import time
from typing import Any

SHELL = "<!doctype html><html><head><meta charset=utf-8><title>Shop</title>{head}</head><body>{body}</body></html>"


class Site:
    """Serves `pages` by path; `/stats/…` is the SDK's files and `/stats/in` takes events, both from the server at `target`.

    `faults`: what becomes of the next requests with events, one each: a status, `close` (no answer), `lost` (taken, but no answer), `html`
    (200 with a page), `slow` (two seconds late). `down`: all of them are closed without an answer.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.pages: dict[str, str] = {}
        self.headers: dict[str, str] = {}
        self.faults: list[str] = []
        self.down = False
        self.kept: dict[str, tuple[int, bytes, dict[str, str]]] = {}  # the SDK's files: any cache on the way keeps them
        self.bodies: list[dict[str, Any]] = []  # of all requests with events, whatever became of them
        self.at: list[float] = []  # when they came
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None: ...

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                if path.startswith("/stats/"):
                    if path not in site.kept or site.kept[path][0] != 200:
                        site.kept[path] = self._call("GET", "/sdk/" + path.removeprefix("/stats/"), b"")
                    return self._answer(*site.kept[path])
                if path == "/favicon.ico":
                    return self._answer(204, b"", {})
                found = site.pages.get(path)
                return self._answer(
                    200 if found else 404, (found or "").encode(), {"content-type": "text/html; charset=utf-8", **site.headers}
                )

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                site.bodies.append(json.loads(body))
                site.at.append(time.monotonic())
                fault = "close" if site.down else site.faults.pop(0) if site.faults else ""
                if fault == "slow":
                    time.sleep(2)
                if fault in ("", "slow"):
                    self._forward("POST", "/api/v1/events", body)
                elif fault == "lost":
                    self._call("POST", "/api/v1/events", body)
                    self.close_connection = True
                elif fault == "close":
                    self.close_connection = True
                elif fault == "html":
                    self._answer(200, b"<html>Please sign in to the network</html>", {"content-type": "text/html"})
                else:
                    self._answer(int(fault), b"{}", {"retry-after": "2"} if fault == "429" else {})

            def _forward(self, method: str, path: str, body: bytes) -> None:
                try:
                    self._answer(*self._call(method, path, body))
                except OSError:
                    self._answer(502, b"", {})

            def _call(self, method: str, path: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
                connection = http.client.HTTPConnection("127.0.0.1", site.target, timeout=30)
                try:
                    passed = {name: self.headers[name] for name in ("user-agent", "content-type", "origin") if self.headers[name]}
                    connection.request(method, path, body, passed)
                    answer = connection.getresponse()
                    kept = {name: answer.headers[name] for name in ("content-type", "cache-control", "retry-after") if answer.headers[name]}
                    return answer.status, answer.read(), kept
                except http.client.HTTPException as error:
                    raise OSError(str(error)) from error
                finally:
                    connection.close()

            def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        class Quiet(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                """A browser that hangs up is no fault."""

        self._listener = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._listener.server_port}"
        threading.Thread(target=self._listener.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown()
        self._listener.server_close()

    def page(self, path: str, script: str = "", body: str = "") -> str:
        """Puts a page there; its address."""
        self.pages[path] = SHELL.format(head=script, body=body)
        return self.url + path
