"""Every call of Mixpanel's SDK for Python, a request each: `mixpanel_python.py HOST KEY`. Over http it sends nothing again, and raises.

`alias` is left out: it sends to its vendor whatever it is told."""

import sys

import mixpanel

# [snippet]
from mixpanel import Consumer, Mixpanel

# [/snippet]
_, HOST, KEY = sys.argv


class Forgiving(Consumer):
    """What raises is the application's to catch."""

    def send(self, *given, **more):
        """As the SDK's."""
        try:
            return super().send(*given, **more)
        except mixpanel.MixpanelException as error:
            print(error)


Consumer = Forgiving
# [snippet]
paths = {"events_url": "/track", "people_url": "/engage", "groups_url": "/groups", "import_url": "/import"}
client = Mixpanel(KEY, consumer=Consumer(**{name: HOST + path for name, path in paths.items()}))
client.track("u1", "Bought", {"price": 12.5, "label": "Grüße 🎉"})
client.people_set("u1", {"plan": "pro"})
# [/snippet]
client.people_set_once("u1", {"first": 1})
client.people_increment("u1", {"logins": 1})
client.people_append("u1", {"tags": "x"})
client.people_union("u1", {"tags": ["y"]})
client.people_remove("u1", {"tags": "x"})
client.people_unset("u1", ["old"])
client.people_track_charge("u1", 25)
client.group_set("company", "acme", {"seats": 5})
client.import_data(None, "u1", "Bought before", 1795025385)
client.merge(None, "u1", "u2")
client.people_delete("u1")
