"""The web SDK: files of this package, built from sdk/web (see tools/sdk.py), for pages of any site.

Each file has two addresses. `/sdk/almanac.js` is the newest, kept by browsers for an hour. `/sdk/almanac.HASH.js` never changes, may be
kept for ever and may be checked by its `integrity`; `/sdk/manifest.json` names it. An address with a hash that is not (or no longer) here
gets the newest file: a page that was written for an older server goes on counting.
"""

from __future__ import annotations

import base64
import gzip
import re
from dataclasses import dataclass
from functools import cache
from hashlib import sha256, sha384
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from almanac.core.errors import not_found, unavailable
from almanac.web.errors import Json

router = APIRouter(include_in_schema=False)

_FOLDER: Final = Path(__file__).parent / "sdk"
_NAMES: Final = ("almanac.js", "index.mjs", "autocapture.mjs")
_WITH_HASH: Final = re.compile(r"(\w+)\.([0-9a-f]{12})\.(m?js)")
_HEADERS: Final = {
    "Access-Control-Allow-Origin": "*",  # modules and integrity want it
    "Cross-Origin-Resource-Policy": "cross-origin",
    "X-Content-Type-Options": "nosniff",
    "Vary": "Accept-Encoding",
}
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_AN_HOUR: Final = "public, max-age=3600, stale-while-revalidate=86400"


@dataclass(frozen=True)
class _File:
    body: bytes
    packed: bytes
    digest: str
    integrity: str


def built() -> bool:
    """Whether this package holds the web SDK."""
    return bool(_files())


@router.get("/sdk/manifest.json")
async def manifest() -> Response:
    """The files: the address that never changes, what to put into `integrity`, and bytes as they travel."""
    return Json({name: _told(name, file) for name, file in _found().items()}, headers={**_HEADERS, "Cache-Control": "no-cache"})


@router.api_route("/sdk/{name}", methods=["GET", "HEAD"])
async def file(name: str, request: Request) -> Response:
    """A file of the SDK, by its plain name or with its hash."""
    files = _found()
    pinned = _WITH_HASH.fullmatch(name)
    found = files.get(f"{pinned[1]}.{pinned[3]}" if pinned else name)
    if found is None:
        raise not_found(f"There is nothing at {request.url.path}.", place="path", way_out="See /sdk/manifest.json.")
    lasting = pinned is not None and pinned[2] == found.digest[:12]
    tag = f'"{found.digest[:20]}"'
    headers = {**_HEADERS, "Cache-Control": _FOR_EVER if lasting else _AN_HOUR, "ETag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(found.packed, media_type="text/javascript; charset=utf-8", headers={**headers, "Content-Encoding": "gzip"})
    return Response(found.body, media_type="text/javascript; charset=utf-8", headers=headers)


def _told(name: str, found: _File) -> dict[str, Any]:
    stem, _, suffix = name.partition(".")
    address = f"/sdk/{stem}.{found.digest[:12]}.{suffix}"
    return {"address": address, "integrity": found.integrity, "bytes": len(found.body), "gzip_bytes": len(found.packed)}


def _found() -> dict[str, _File]:
    if not (files := _files()):
        raise unavailable(
            "The web SDK was not built into this package.", way_out="Install it where an npm registry is at hand, or run `make ui`."
        )
    return files


@cache
def _files() -> dict[str, _File]:
    """All files, read and packed once."""
    return {name: _read(path) for name in _NAMES if (path := _FOLDER / name).is_file()}


def _read(path: Path) -> _File:
    body = path.read_bytes()
    check = base64.b64encode(sha384(body).digest()).decode()
    return _File(body, gzip.compress(body, 9, mtime=0), sha256(body).hexdigest(), f"sha384-{check}")
