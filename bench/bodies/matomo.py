"""As matomo-tracker sends many hits."""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.parse import urlencode

from bench.bodies import Act, Request


def requests(key: str, acts: Sequence[Act]) -> list[Request]:
    hits = []
    for act in acts:
        properties = act["properties"]
        hit = {
            "idsite": "1",
            "rec": "1",
            "uid": act["user"],
            "url": f"https://shop.example.com/{properties['product_id']}",
            "e_c": "shop",
            "e_a": act["event"],
            "e_n": properties["category"],
            "e_v": properties["price"],
            "dimension1": properties["currency"],
            "dimension2": properties["quantity"],
            "cdt": int(act["time"].timestamp()),
            "rand": act["id"],
        }
        hits.append("?" + urlencode(hit))
    body = json.dumps({"requests": hits, "token_auth": key})
    return [Request("/matomo.php", body.encode(), {"content-type": "application/json", "user-agent": "axios/1.9"})]
