"""Every call of Amplitude's SDK for Python, in one batch: `amplitude_python.py HOST KEY`. A flush at the end would not wait for retries."""

import sys
import time

# [snippet]
from amplitude import Amplitude, BaseEvent, Config, EventOptions, Identify, Revenue

# [/snippet]
_, HOST, KEY = sys.argv
ended = []
QUICK = {"flush_interval_millis": 300, "callback": lambda event, code, message=None: ended.append(code)}
# [snippet]
client = Amplitude(KEY, Config(server_url=HOST + "/2/httpapi", **QUICK))
client.track(BaseEvent("Bought", user_id="u1", device_id="d1", event_properties={"price": 12.5, "label": "Grüße 🎉"}))
client.identify(Identify().set("plan", "pro").add("logins", 1), EventOptions(user_id="u1"))
# [/snippet]
client.set_group("company", "acme", EventOptions(user_id="u1"))
client.group_identify("company", "acme", Identify().set("seats", 5))
client.revenue(Revenue(price=12.5, quantity=2, product_id="p1"), EventOptions(user_id="u1"))
until = time.monotonic() + 15
while len(ended) < 5 and time.monotonic() < until:
    time.sleep(0.1)
# [snippet]
client.shutdown()
# [/snippet]
