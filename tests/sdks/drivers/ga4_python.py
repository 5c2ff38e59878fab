"""Every call of ga4mp: `ga4_python.py HOST KEY`. It has no retries; an error of the network is the program's."""

import sys

# [snippet]
from ga4mp import GtagMP

# [/snippet]
_, HOST, KEY = sys.argv
# [snippet]
ga = GtagMP(api_secret=KEY, measurement_id="G-1", client_id="a1")
ga._base_domain = HOST + "/mp/collect"  # it has no option for its address
ga._validation_domain = HOST + "/debug/mp/collect"
ga.store.set_user_property("user_id", "u1")
ga.store.set_user_property("plan", "pro")
view = {"name": "page_view", "params": {"page_location": "https://x.example/", "page_title": "Home"}}
bought = {"name": "purchase", "params": {"transaction_id": "o1", "value": 12.5, "currency": "EUR", "items": []}}
ga.send([view, bought])
# [/snippet]
ga.send([{"name": "play", "params": {"label": "Grüße 🎉"}}], postpone=True)
ga.postponed_send()
