"""Every call of Snowplow's tracker for Python, in one batch: `snowplow_python.py HOST KEY`. It sends again by a timer of its own."""

import sys
import time

# [snippet]
from snowplow_tracker import (
    EmitterConfiguration,
    PagePing,
    PageView,
    ScreenView,
    SelfDescribing,
    SelfDescribingJson,
    Snowplow,
    StructuredEvent,
    Subject,
)

# [/snippet]
_, HOST, KEY = sys.argv
kept = []
QUICK = {"request_timeout": 2, "on_success": kept.extend}
# [snippet]
subject = Subject().set_platform("srv").set_user_id("u1").set_domain_user_id("a1").set_domain_session_id("s1")
emitter = EmitterConfiguration(batch_size=50, **QUICK)
tracker = Snowplow.create_tracker("shop", HOST, app_id=KEY, subject=subject, emitter_config=emitter)
tracker.track(PageView("https://x.example/", page_title="Home"))
bought = {"revenue": 12.5, "currency": "EUR", "label": "Grüße 🎉"}
tracker.track(SelfDescribing(SelfDescribingJson("iglu:com.acme/bought/jsonschema/1-0-0", bought)))
# [/snippet]
user = SelfDescribingJson("iglu:com.acme/user/jsonschema/1-0-0", {"plan": "pro"})
tracker.track(StructuredEvent("video", "play", label="trailer", value=2.5, context=[user]))
tracker.track(PagePing("https://x.example/", max_y=500))
tracker.track(ScreenView(id_="0190a0b0-0000-7000-8000-000000000002", name="Login"))
# [snippet]
tracker.flush()
# [/snippet]
until = time.monotonic() + 20
while len(kept) < 5 and time.monotonic() < until:
    time.sleep(0.1)
