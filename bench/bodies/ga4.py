"""As ga4mp sends them: one person's events, at most 25, in a request."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby

from bench.bodies import Act, Request

MOST = 25


def requests(key: str, acts: Sequence[Act]) -> list[Request]:
    found = []
    for user, theirs in groupby(acts, key=lambda act: act["user"]):
        listed = list(theirs)
        for start in range(0, len(listed), MOST):
            events = [
                {
                    "name": act["event"],
                    "params": {**act["properties"], "session_id": "1795208990", "engagement_time_msec": 100},
                    "timestamp_micros": int(act["time"].timestamp() * 1e6),
                }
                for act in listed[start : start + MOST]
            ]
            body = json.dumps({"client_id": f"client-{user}", "user_id": user, "events": events})
            headers = {"content-type": "application/json", "user-agent": "python-requests/2.32"}
            found.append(Request(f"/mp/collect?measurement_id=G-1&api_secret={key}", body.encode(), headers))
    return found
