"""Almanac's own batches."""

from __future__ import annotations

import json
from collections.abc import Sequence

from bench.bodies import Act, Request, stamp


def requests(key: str, acts: Sequence[Act]) -> list[Request]:
    batch = [
        {
            "event": act["event"],
            "id": act["id"],
            "time": stamp(act["time"]),
            "user_id": act["user"],
            "library": {"name": "almanac-python", "version": "1.0.0"},
            "properties": act["properties"],
        }
        for act in acts
    ]
    body = json.dumps({"batch": batch, "sent_at": stamp(acts[-1]["time"])}, separators=(",", ":"))
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json", "user-agent": "almanac-python/1.0.0"}
    return [Request("/api/v1/events", body.encode(), headers)]
