"""The SDK for apps in Python: sends events to Almanac, and needs nothing but the standard library.

    import almanac
    client = almanac.Client("wk_…", "https://almanac.example.org")
    client.track("Ticket Bought", user_id="u1", properties={"seats": 2}, revenue=25, currency="EUR")

No call waits for the network or the disk, and none raises into the app: what goes wrong is counted (`client.stats()`) and told to
`on_error`.
"""

from __future__ import annotations

from .backfill import Backfilled, BackfillError
from .calls import Person, anonymous_id
from .client import Client
from .problems import Problem, Stats
from .transport import VERSION

__all__ = ["VERSION", "BackfillError", "Backfilled", "Client", "Person", "Problem", "Stats", "anonymous_id"]
