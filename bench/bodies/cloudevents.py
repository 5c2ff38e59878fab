"""A batch in JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence

from bench.bodies import Act, Request, stamp


def requests(key: str, acts: Sequence[Act]) -> list[Request]:
    batch = [
        {
            "specversion": "1.0",
            "id": act["id"],
            "source": "/shop",
            "type": act["event"],
            "time": stamp(act["time"]),
            "userid": act["user"],
            "datacontenttype": "application/json",
            "data": act["properties"],
        }
        for act in acts
    ]
    headers = {"content-type": "application/cloudevents-batch+json", "authorization": f"Bearer {key}", "user-agent": "python-requests/2.32"}
    return [Request("/cloudevents", json.dumps(batch).encode(), headers)]
