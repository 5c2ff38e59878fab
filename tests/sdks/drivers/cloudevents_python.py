"""CloudEvents of the SDK for Python in all its modes, sent by requests: `cloudevents_python.py HOST KEY`."""

import sys

# [snippet]
import requests
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from requests.adapters import HTTPAdapter
from urllib3 import Retry

# [/snippet]
_, HOST, KEY = sys.argv
# [snippet]
again = Retry(total=8, backoff_factor=0.2, status_forcelist=[429, 500, 502, 503, 504], allowed_methods=["POST"], raise_on_status=False)
session = requests.Session()
session.mount("http://", HTTPAdapter(max_retries=again))
session.mount("https://", HTTPAdapter(max_retries=again))
session.headers["authorization"] = "Bearer " + KEY

message = to_binary_event(CloudEvent({"type": "Bought", "source": "/shop", "subject": "u1"}, {"revenue": 12.5, "currency": "EUR"}))
session.post(HOST + "/cloudevents", data=message.body, headers=message.headers, timeout=15)
# [/snippet]
event = CloudEvent({"type": "Viewed", "source": "/shop", "subject": "u1", "label": "Grüße 🎉"}, {"price": 12.5, "label": "Grüße 🎉"})
for message in (to_structured_event(event), to_binary_event(CloudEvent({"type": "Noted", "source": "/shop"}, b"\x00\xff"))):
    session.post(HOST + "/any/path", data=message.body, headers=message.headers, timeout=15)
