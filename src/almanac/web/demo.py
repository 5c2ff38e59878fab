"""A made-up life in a project of its own, for whoever wants to look before anything is sent."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import replace
from typing import Final

import structlog
from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from almanac.core.errors import invalid
from almanac.watch.demo import EVENTS, start_page
from almanac.web.auth import Caller
from almanac.web.errors import Json, responses
from almanac.web.forms import Form
from almanac.web.manage import own
from almanac.web.projects import shown
from almanac.web.rooms import Rooms

router = APIRouter(prefix="/api/v1", tags=["projects"])
log = structlog.get_logger(__name__)

_PACK: Final = "shop"


class NewDemo(Form):
    """A demo project that is to be made."""

    name: str = Field("Demo shop", min_length=1, max_length=100, description="Its name; it must be free.")


@router.post("/demo", status_code=202, responses=responses(401, 403, 409), summary="Make a demo project (server's owner)")
def make(new: NewDemo, caller: Caller) -> Response:
    """A shop's life of 90 days begins to come in through the collector, in a process of its own; all of it is there within a minute."""
    caller.rule()
    rooms = caller.rooms
    if not rooms.settings.serve_file.is_file():
        raise invalid("No server takes events here.", way_out="Start it with `almanac serve`.")
    project, keys = rooms.catalog.create_project(new.name)
    own(caller, project.id)
    rooms.catalog.update_project(replace(project, settings={**project.settings, "start_page": start_page(_PACK)}))
    _fill(rooms, project.id, keys)
    return Json(shown(project), status_code=202)


def _fill(rooms: Rooms, project: str, keys: dict[str, str]) -> None:
    """Keys go by standard input: a command line can be read by everybody on the host."""
    url = json.loads(rooms.settings.serve_file.read_text())["url"]
    told = {"url": url, "write": keys["write"], "read": keys["read"], "pack": _PACK, "events": EVENTS, "now": rooms.clock().isoformat()}
    process = subprocess.Popen([sys.executable, "-m", "almanac.watch.demo"], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def wait() -> None:
        _, said = process.communicate(json.dumps(told))
        if process.returncode:
            log.warning("demo failed", project=project, reason=said[-500:])

    threading.Thread(target=wait, name="demo", daemon=True).start()
