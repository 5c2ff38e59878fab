"""Stripe's webhooks. The type is the name; the person is your own user's id where Stripe was told it, else Stripe's customer.

The signature (`Stripe-Signature: t=…,v1=…`) is over its time and the body, so that a delivery that somebody kept is refused when he sends
it again later. The event's id counts once, whichever endpoint it comes by.

Revenue counts once: a payment brings a charge, a payment intent, perhaps an invoice and a session of the checkout, and each has an amount.
By default charges bring it (`charge.succeeded` when captured, `charge.captured`), less what `charge.refunded` gives back; or paid invoices.
Amounts are in the currency's smallest unit at Stripe, and in the currency itself here.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from almanac.core.errors import denied
from almanac.core.mapping import Mapping as Meaning
from almanac.core.source import Stripe
from almanac.ingest.call import Call
from almanac.ingest.protocols.hooks_vendor import Vendor, checked_time, forged, unsigned
from almanac.ingest.source_mapping import major

_USER: Final = ["$.data.object.metadata.user_id", "$.data.object.client_reference_id"]
_CUSTOMER: Final = ["$.data.object.customer.id", "$.data.object.customer"]
_SAYS_WHO: Final = ("checkout.session.completed", "customer.created", "customer.updated", "customer.subscription.created")
_MOST_SIGNATURES: Final = 20

MEANING = Meaning(
    event="$.type",
    id="$.id",
    time="$.created",
    user_id=_USER,
    anonymous_id=_CUSTOMER,
    currency="$.data.object.currency",
    groups={"stripe_account": "$.account"},
    properties={
        "object": "$.data.object.object",
        "object_id": "$.data.object.id",
        "status": "$.data.object.status",
        "livemode": "$.livemode",
        "mode": "$.data.object.mode",
        "reason": ["$.data.object.billing_reason", "$.data.object.cancellation_details.reason", "$.data.object.failure_code"],
        "plan": ["$.data.object.plan.id", "$.data.object.items.data[0].price.id"],
        "product": ["$.data.object.plan.product", "$.data.object.items.data[0].price.product"],
        "interval": ["$.data.object.plan.interval", "$.data.object.items.data[0].price.recurring.interval"],
        "invoice": "$.data.object.invoice",
        "subscription": "$.data.object.subscription",
        "payment_intent": "$.data.object.payment_intent",
    },
)


def verify(source: Stripe, call: Call) -> None:
    """Raises `denied`."""
    shown = call.header(b"stripe-signature")
    if not shown:
        raise unsigned("Stripe-Signature")
    parts = [part.strip().partition("=") for part in shown.split(",")][: _MOST_SIGNATURES + 1]
    times = [value for name, _, value in parts if name == "t"]
    given = [value for name, _, value in parts if name == "v1"]
    if len(times) != 1 or not given:
        raise denied("The header Stripe-Signature is not of the form t=…,v1=….", way_out="Send it as Stripe does.")
    signed = times[0].encode("latin-1") + b"." + call.body
    right = hmac.new(source.secret.encode(), signed, "sha256").hexdigest().encode()
    fits = False
    for one in given:  # two, while the endpoint's secret is being changed
        fits |= hmac.compare_digest(one.encode("latin-1"), right)
    if not fits:
        raise forged()
    checked_time(times[0], call.received_us, source.tolerance)


def delivery(source: Stripe, document: Any, headers: Mapping[str, str]) -> str:
    """The event's id: a delivery that is repeated has it too."""
    id_ = document.get("id") if isinstance(document, dict) else None
    return id_ if isinstance(id_, str) else ""


def finished(source: Stripe, meaning: Meaning, document: Any, message: dict[str, Any]) -> list[dict[str, Any]]:
    """With its revenue, its person, and the statement that customer and user are one where Stripe says so."""
    data = document.get("data")
    thing = data.get("object") if isinstance(data, dict) else None
    thing = thing if isinstance(thing, dict) else {}
    if thing.get("object") == "customer" and isinstance(thing.get("id"), str):
        message.setdefault("anonymous_id", thing["id"])
    if meaning.revenue is None and source.revenue != "none":
        amount = _revenue(source.revenue, str(message.get("event")), thing, data)
        if amount is not None:
            message["properties"] = {**message.get("properties", {}), "revenue": amount}
    user, customer = message.get("user_id"), message.get("anonymous_id")
    if not user or not customer or user == customer or message["event"] not in _SAYS_WHO:
        return [message]
    who = {"kind": "identify", "user_id": user, "anonymous_id": customer, "id": f"{message.get('id', '')}#who"}
    return [message, {**who, "time": message["time"]} if "time" in message else who]


def _revenue(by: str, event: str, thing: dict[str, Any], data: Any) -> Decimal | None:
    currency = str(thing.get("currency") or "")
    if by == "invoices":
        return major(thing.get("amount_paid", 0), currency) if event == "invoice.paid" else None
    if event == "charge.captured" or (event == "charge.succeeded" and thing.get("captured") is not False):
        captured = thing.get("amount_captured")
        return major(thing.get("amount", 0) if captured is None else captured, currency)
    if event == "charge.refunded":  # the charge holds all that was ever given back; the event says how much it was before
        before = data.get("previous_attributes") if isinstance(data, dict) else None
        earlier = before.get("amount_refunded") if isinstance(before, dict) else None
        return major(earlier or 0, currency) - major(thing.get("amount_refunded", 0), currency)
    return None


VENDOR = Vendor("stripe", MEANING, verify, delivery, lambda source: "Stripe-Signature", finished)
