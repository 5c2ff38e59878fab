"""Every call of our own SDK for Python, in one batch: `almanac_python.py HOST KEY`."""

import sys

# [snippet]
import almanac

# [/snippet]
_, HOST, KEY = sys.argv
QUICK = {"timeout": 2, "close_seconds": 20}
# [snippet]
client = almanac.Client(KEY, HOST, **QUICK)
client.track("Viewed", {"price": 12.5, "label": "Grüße 🎉"}, anonymous_id="a1")
client.identify("u1", {"plan": "pro"}, anonymous_id="a1")
client.track("Bought", user_id="u1", revenue=12.5, currency="EUR")
# [/snippet]
client.alias("u2", "u1")
client.group("company", "acme", {"seats": 5}, user_id="u1")
client.page("https://x.example/", name="Home", user_id="u1")
client.screen("Login", user_id="u1")
client.profile({"plan": "free"}, user_id="u1")
# [snippet]
client.close()
# [/snippet]
