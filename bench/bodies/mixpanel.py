"""As mixpanel (python) sends them through its BufferedConsumer: forms, fifty events in each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.parse import urlencode

from bench.bodies import Act, Request

MOST = 50


def requests(key: str, acts: Sequence[Act]) -> list[Request]:
    events = [
        {
            "event": act["event"],
            "properties": {
                "token": key,
                "distinct_id": act["user"],
                "time": act["time"].timestamp(),
                "$insert_id": act["id"].replace("-", ""),
                "mp_lib": "python",
                "$lib_version": "5.4.1",
                **act["properties"],
            },
        }
        for act in acts
    ]
    headers = {"content-type": "application/x-www-form-urlencoded", "user-agent": "python-requests/2.32"}
    pieces = [json.dumps(events[start : start + MOST], separators=(",", ":")) for start in range(0, len(events), MOST)]
    return [Request("/track", urlencode({"data": piece, "verbose": 1, "ip": 0}).encode(), headers) for piece in pieces]
