"""The start page and the reference page: plain files of this package, from no other host."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from almanac.core.errors import not_found
from almanac.web import app_files

router = APIRouter(include_in_schema=False)

_FOLDER: Final = Path(__file__).parent / "static"
_TYPES: Final = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_HEAD: Final = "head.part"  # what the heads of all pages share; its name in a comment stands for it
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


@router.api_route("/", methods=["GET", "HEAD"])
async def start(request: Request) -> Response:
    """The web app, or the start page of a package that was built without it."""
    return RedirectResponse("/app/") if app_files.built() else _file("start.html", request)


@router.api_route("/start", methods=["GET", "HEAD"])
async def plain(request: Request) -> Response:
    """The start page: a project at a glance, to whoever has its key and no account."""
    return _file("start.html", request)


@router.api_route("/docs", methods=["GET", "HEAD"])
async def docs(request: Request) -> Response:
    """The reference of the API."""
    return _file("docs.html", request)


@router.api_route("/pages/{name}", methods=["GET", "HEAD"])
async def part(name: str, request: Request) -> Response:
    """A page's style or script."""
    return _file(name, request)


def _file(name: str, request: Request) -> Response:
    files = _files()
    if name not in files:
        raise not_found(f"There is nothing at {request.url.path}.", place="path")
    body, tag = files[name]
    headers = {**_HEADERS, "ETag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=_TYPES[Path(name).suffix], headers=headers)


@cache
def _files() -> dict[str, tuple[bytes, str]]:
    """All files with their entity tags. Read once: the names that are served are the names that are there."""
    found: dict[str, tuple[bytes, str]] = {}
    mark, head = f"<!-- {_HEAD} -->".encode(), (_FOLDER / _HEAD).read_bytes().rstrip()
    for path in _FOLDER.iterdir():
        if path.suffix in _TYPES:
            body = path.read_bytes().replace(mark, head)
            found[path.name] = (body, f'"{hashlib.sha256(body).hexdigest()[:20]}"')
    return found
