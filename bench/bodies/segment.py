"""As segment-analytics-python sends them."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence

from bench.bodies import Act, Request, stamp


def requests(key: str, acts: Sequence[Act]) -> list[Request]:
    batch = [
        {
            "integrations": {},
            "anonymousId": None,
            "properties": act["properties"],
            "timestamp": stamp(act["time"]),
            "context": {"library": {"name": "analytics-python", "version": "2.4.0"}},
            "userId": act["user"],
            "type": "track",
            "event": act["event"],
            "messageId": act["id"],
        }
        for act in acts
    ]
    body = json.dumps({"batch": batch, "sentAt": stamp(acts[-1]["time"]), "writeKey": key})
    basic = base64.b64encode(f"{key}:".encode()).decode()
    headers = {"authorization": f"Basic {basic}", "content-type": "application/json", "user-agent": "analytics-python/2.4.0"}
    return [Request("/v1/batch", body.encode(), headers)]
