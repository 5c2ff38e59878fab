"""One file per vendor. A file that holds a `PROTOCOL` is found by walking this package; adding a vendor is adding its file."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from functools import cache

from almanac.ingest.call import Call, Protocol, Route

_HOLE = re.compile(r"\{(\w+)\}")


@cache
def registry() -> dict[str, Protocol]:
    """All protocols by name."""
    found: dict[str, Protocol] = {}
    for info in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        protocol = getattr(importlib.import_module(f"{__name__}.{info.name}"), "PROTOCOL", None)
        if isinstance(protocol, Protocol):
            found[protocol.name] = protocol
    return found


class Routes:
    """Finds the route of a request."""

    def __init__(self, protocols: Iterator[Protocol]) -> None:
        self._exact: dict[str, list[tuple[Protocol, Route]]] = {}
        self._patterns: list[tuple[re.Pattern[str], list[tuple[Protocol, Route]]]] = []
        self._anywhere: list[tuple[Protocol, Route]] = []
        patterns: dict[str, list[tuple[Protocol, Route]]] = {}
        for protocol in protocols:
            for route in protocol.routes:
                if route.path == "*":
                    self._anywhere.append((protocol, route))
                else:
                    (patterns if "{" in route.path else self._exact).setdefault(route.path, []).append((protocol, route))
        for routes in (*self._exact.values(), *patterns.values()):
            routes.sort(key=lambda pair: pair[1].when is None)
        for path, routes in patterns.items():
            parts = [f"(?P<{part}>[^/]+)" if place % 2 else re.escape(part) for place, part in enumerate(_HOLE.split(path))]
            self._patterns.append((re.compile("".join(parts)), routes))

    def of(self, path: str) -> tuple[list[tuple[Protocol, Route]], dict[str, str]]:
        """All routes of that path, of any method, and what its holes hold. None: the path is not ours."""
        if len(path) > 1 and path[-1] == "/":
            path = path.rstrip("/")
        if path in self._exact:
            return self._exact[path], {}
        for pattern, routes in self._patterns:
            if match := pattern.fullmatch(path):
                return routes, match.groupdict()
        return [], {}

    def anywhere(self, call: Call) -> tuple[Protocol, Route] | None:
        """The route for any path that knows this request by its headers."""
        for protocol, route in self._anywhere:
            if route.method == call.method and (route.when is None or route.when(call)):
                return protocol, route
        return None
