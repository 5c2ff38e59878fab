"""The web app: files of this package, built from ui/ (see tools/ui.py).

Every address below /app that is no file is the one page, which reads the rest of its address itself.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from almanac.core.errors import AlmanacError, Code, not_found, unavailable
from almanac.links import Links
from almanac.web.rooms import Rooms

router = APIRouter(include_in_schema=False)

_FOLDER: Final = Path(__file__).parent / "app"
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
_PACKED: Final = frozenset({".woff2"})  # gzip would make these no smaller
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    "font-src 'self'; img-src 'self' data: blob:; worker-src 'self' blob:; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors {ancestors}",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_FOR_EVER: Final = "public, max-age=31536000, immutable"  # the name changes with the content
_SHARED: Final = "shared/"  # boards behind links, which other sites may embed where the link says so


@dataclass(frozen=True)
class _File:
    body: bytes
    packed: bytes | None
    media_type: str
    tag: str


def built() -> bool:
    """Whether this package holds the web app."""
    return bool(_files())


@router.get("/app")
async def bare() -> Response:
    """Relative addresses of the page need the slash."""
    return RedirectResponse("/app/", status_code=308)


@router.api_route("/app/{path:path}", methods=["GET", "HEAD"])
async def file(path: str, request: Request) -> Response:
    """A file of the app, or its page."""
    files = _files()
    if not files:
        raise unavailable(
            "The web app was not built into this package.", way_out="Install it where an npm registry is at hand, or run `make ui`."
        )
    if path.startswith("assets/") and path not in files:
        raise not_found(f"There is nothing at {request.url.path}.", place="path")
    named = path if path in files else "index.html"
    found = files[named]
    ancestors = "'none'"
    if path.startswith(_SHARED):
        ancestors = await to_thread.run_sync(_ancestors, request.app.state.rooms, path.removeprefix(_SHARED).rstrip("/"))
    headers = {
        **{name: value.replace("{ancestors}", ancestors) for name, value in _HEADERS.items()},
        "Cache-Control": _FOR_EVER if named.startswith("assets/") else "no-cache",
        "ETag": found.tag,
        "Vary": "Accept-Encoding",
    }
    if request.headers.get("if-none-match") == found.tag:
        return Response(status_code=304, headers=headers)
    if found.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(found.packed, media_type=found.media_type, headers={**headers, "Content-Encoding": "gzip"})
    return Response(found.body, media_type=found.media_type, headers=headers)


def _ancestors(rooms: Rooms, token: str) -> str:
    """Who may show this shared board in a frame. That a link has ended is said there as well."""
    try:
        return "*" if Links(rooms.catalog, rooms.definitions, rooms.clock).open(token).embed else "'none'"
    except AlmanacError as error:
        return "*" if error.code is Code.NOT_FOUND else "'none'"


@cache
def _files() -> dict[str, _File]:
    """All files by their paths, read and packed once: the names that are served are the names that are there."""
    return {path.relative_to(_FOLDER).as_posix(): _read(path) for path in sorted(_FOLDER.rglob("*")) if path.suffix in _TYPES}


def _read(path: Path) -> _File:
    body = path.read_bytes()
    packed = None if path.suffix in _PACKED else gzip.compress(body, 9, mtime=0)
    return _File(body, packed, _TYPES[path.suffix], f'"{sha256(body).hexdigest()[:20]}"')
