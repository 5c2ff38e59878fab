"""Every call of Segment's SDK for Python, in one batch: `segment_python.py HOST KEY`."""

import sys

# [snippet]
from segment.analytics.client import Client

# [/snippet]
_, HOST, KEY = sys.argv
QUICK = {"timeout": 2}
# [snippet]
client = Client(KEY, host=HOST, **QUICK)
client.track(anonymous_id="a1", event="Viewed", properties={"price": 12.5, "label": "Grüße 🎉"})
client.identify("u1", anonymous_id="a1", traits={"plan": "pro"})
client.track("u1", "Bought", {"revenue": 12.5, "currency": "EUR"})
# [/snippet]
client.alias("u1", "u2")
client.group("u1", "acme", {"seats": 5})
client.page("u1", None, "Home", {"url": "https://x.example/"})
client.screen("u1", None, "Login")
# [snippet]
client.shutdown()
# [/snippet]
