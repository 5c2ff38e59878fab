"""As posthog (python) sends them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from bench.bodies import Act, Request

OWN = {"$lib": "posthog-python", "$lib_version": "7.91.1", "$geoip_disable": True, "$is_server": True, "$os": "Linux"}


def requests(key: str, acts: Sequence[Act]) -> list[Request]:
    batch = [
        {
            "event": act["event"],
            "distinct_id": act["user"],
            "uuid": act["id"],
            "timestamp": act["time"].isoformat(),
            "properties": {**act["properties"], **OWN},
        }
        for act in acts
    ]
    body = json.dumps({"api_key": key, "batch": batch, "historical_migration": False, "sent_at": acts[-1]["time"].isoformat()})
    headers = {"content-type": "application/json", "user-agent": "posthog-python/7.91.1"}
    return [Request("/batch/", body.encode(), headers)]
