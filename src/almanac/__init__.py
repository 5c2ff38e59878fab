"""Event analytics in one package. From Python:

    import almanac
    client = almanac.open("almanac-data")          # or almanac.open("http://host:8000", key="rk_…")
    client.ask(almanac.Trend(series=["signup"])).to_pandas()

The models of all kinds of question are names of this module, and so are Metric and Segment.

An app that sends events uses `almanac.Client("wk_…", "http://host:8000")`, which loads nothing of the engine.
"""

from __future__ import annotations

import contextlib
import importlib
import pathlib  # not its Path: that is a kind of question here
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from almanac.sdk import Client as Client
    from almanac.web import answers

_SDK = "Client"
_SAVED = {"Metric": "almanac.core.metrics", "Segment": "almanac.core.filters"}

__all__ = ["open"]  # and the question models, by `__getattr__`


def open(target: str | pathlib.Path, key: str | None = None, project: str | None = None) -> answers.Client:  # noqa: A001
    """A client of the server at `target` (its address, with a read or admin `key`), or of a data folder.

    A data folder is asked through the server that runs on it, or else opened in this process until the client is closed. `project`, an
    id or a name, may be left out when there is only one. Raises `AlmanacError`.
    """
    from almanac.core import settings
    from almanac.core.errors import not_found
    from almanac.web.answers import Client
    from almanac.web.client import Api, HttpTransport, reach, serving

    if str(target).startswith(("http://", "https://")):
        return Client(Api(HttpTransport(str(target), key or "")), project=project or "")
    if not pathlib.Path(target).is_dir():
        raise not_found(f"There is no data folder {target}.", way_out="`almanac serve --data DIR` makes one.")
    chosen = settings.load({"data": target})
    server = serving(chosen)
    if server is not None and key:
        return Client(Api(HttpTransport(str(server["url"]), key)), project=project or "")
    from almanac.house import open_rooms

    stack = contextlib.ExitStack()
    api = stack.enter_context(reach(chosen, open_rooms))
    return Client(api, project=project or "", close=stack.close)


def __getattr__(name: str) -> Any:
    if name == _SDK:
        return importlib.import_module("almanac.sdk").Client
    if name[:1].isupper():  # a module of this package that is not imported yet is looked for here too
        from almanac.core.analysis import registry

        for analysis in registry().values():
            if analysis.question.__name__ == name:
                return analysis.question
        if name in _SAVED:
            return getattr(importlib.import_module(_SAVED[name]), name)
    raise AttributeError(f"module 'almanac' has no attribute {name!r}")


def __dir__() -> list[str]:
    from almanac.core.analysis import registry

    return sorted([*globals(), _SDK, *_SAVED, *(analysis.question.__name__ for analysis in registry().values())])
