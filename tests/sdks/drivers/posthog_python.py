"""Every call of PostHog's SDK for Python, in one batch: `posthog_python.py HOST KEY`. With `POSTHOG_CAPTURE_MODE=v1`, in version 1."""

import logging
import sys

# [snippet]
from posthog import Posthog

# [/snippet]
_, HOST, KEY = sys.argv
QUICK = {"timeout": 2}
logging.getLogger("posthog").disabled = True
# [snippet]
posthog = Posthog(KEY, host=HOST, **QUICK)
posthog.capture("bought", distinct_id="u1", properties={"price": 12.5, "label": "Grüße 🎉"}, groups={"company": "acme"})
posthog.set(distinct_id="u1", properties={"plan": "pro"})
# [/snippet]
posthog.set_once(distinct_id="u1", properties={"first": 1})
posthog.alias("u1", "old")
posthog.group_identify("company", "acme", {"seats": 5})
posthog.capture_exception(ValueError("boom"), distinct_id="u1")
# [snippet]
posthog.shutdown()
# [/snippet]
