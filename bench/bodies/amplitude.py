"""As amplitude-analytics (python) sends them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from bench.bodies import Act, Request


def requests(key: str, acts: Sequence[Act]) -> list[Request]:
    events = [
        {
            "user_id": act["user"],
            "time": int(act["time"].timestamp() * 1000),
            "insert_id": act["id"],
            "library": "amplitude-python/1.3.0",
            "event_type": act["event"],
            "event_properties": act["properties"],
        }
        for act in acts
    ]
    headers = {"content-type": "application/json; charset=UTF-8", "user-agent": "Python-urllib/3.11"}
    return [Request("/2/httpapi", json.dumps({"api_key": key, "events": events}, separators=(",", ":")).encode(), headers)]
