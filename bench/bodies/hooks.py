"""A delivery with many events, sent by hand: what a vendor's own costs besides is one HMAC of its body."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from bench.bodies import Act, Request, stamp

SOURCE: Final[dict[str, Any]] = {
    "kind": "generic",
    "secret": "a secret of the bench",
    "mapping": {"event": "$.what", "id": "$.number", "time": "$.at", "user_id": "$.who.id", "others": "properties"},
    "sample": {"what": "Visit"},
}


def requests(key: str, acts: Sequence[Act]) -> list[Request]:
    events = [
        {"what": act["event"], "number": act["id"], "at": stamp(act["time"]), "who": {"id": act["user"]}, **act["properties"]}
        for act in acts
    ]
    headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
    return [Request("/hooks", json.dumps({"source": "shop", "payload": events}).encode(), headers)]
