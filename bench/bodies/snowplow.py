"""As snowplow-tracker (python) sends them."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence

from bench.bodies import Act, Request

UNSTRUCTURED = "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0"
PAYLOAD = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4"


def requests(key: str, acts: Sequence[Act]) -> list[Request]:
    data = []
    for act in acts:
        told = {"schema": f"iglu:com.example/{act['event']}/jsonschema/1-0-0", "data": act["properties"]}
        wrapped = json.dumps({"schema": UNSTRUCTURED, "data": told}).encode()
        data.append(
            {
                "e": "ue",
                "eid": act["id"],
                "dtm": str(int(act["time"].timestamp() * 1000)),
                "stm": str(int(acts[-1]["time"].timestamp() * 1000)),
                "aid": key,
                "uid": act["user"],
                "tna": "sp",
                "tv": "py-1.1.0",
                "p": "srv",
                "ue_px": base64.urlsafe_b64encode(wrapped).decode(),
            }
        )
    headers = {"content-type": "application/json; charset=utf-8", "user-agent": "python-requests/2.32"}
    return [Request("/com.snowplowanalytics.snowplow/tp2", json.dumps({"schema": PAYLOAD, "data": data}).encode(), headers)]
