"""As rudder-sdk-python sends them, packed, as it does unless told otherwise."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Sequence

from bench.bodies import Act, Request


def requests(key: str, acts: Sequence[Act]) -> list[Request]:
    batch = [
        {
            "integrations": {"All": True},
            "anonymousId": None,
            "properties": act["properties"],
            "timestamp": act["time"].isoformat(),
            "context": {"library": {"name": "analytics-python", "version": "2.1.9"}},
            "userId": act["user"],
            "type": "track",
            "event": act["event"],
            "messageId": act["id"],
            "channel": "server",
        }
        for act in acts
    ]
    body = gzip.compress(json.dumps({"batch": batch, "sentAt": acts[-1]["time"].isoformat()}).encode())
    headers = {
        "authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode(),
        "content-type": "application/json",
        "content-encoding": "gzip",
        "user-agent": "analytics-python/2.1.9",
    }
    return [Request("/v1/batch", body, headers)]
