"""Foreign messages into messages of Almanac's own protocol, by a mapping. What the mapping does not take is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import msgspec

from almanac.core import mapping as mappings
from almanac.core.event import derived_id
from almanac.core.picks import MISSING, Path, Pick, Step, at, compiled, found, text_of, without
from almanac.ingest import body as bodies
from almanac.ingest.messages import LONGEST_ID, UnfitError, instant

REST: Final = "payload"  # the member of `rest` with what the mapping did not take
MOST_EVENTS: Final = 10_000  # of one message

_ENCODER: Final = msgspec.json.Encoder(enc_hook=str, decimal_format="number")
_NONE: Final[Mapping[str, str]] = {}
_TEXTS: Final = ("distinct_id", "user_id", "anonymous_id", "session_id", "url")
# Currencies whose smallest unit is not a hundredth, by ISO 4217.
_EXPONENTS: Final = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}


@dataclass(frozen=True)
class _Compiled:
    single: dict[str, tuple[Pick, ...]]
    several: dict[str, dict[str, tuple[Pick, ...]]]


class Translator:
    """One mapping, ready for many messages."""

    def __init__(self, mapping: mappings.Mapping) -> None:
        self._mapping = mapping
        self._each = compiled(mapping.each)[0] if mapping.each else None
        self._picks = _Compiled(
            {name: compiled(pick) for name in mappings.SINGLE if (pick := getattr(mapping, name)) is not None},
            {part: {name: compiled(pick) for name, pick in getattr(mapping, part).items()} for part in mappings.SEVERAL},
        )

    def parts(self, document: Any) -> list[Any]:
        """The messages that a body holds: the elements of the mapping's list, or of a bare list, or itself. Raises `UnfitError`."""
        inner = document
        if isinstance(self._each, Path):
            inner = at(document, self._each.steps)
            if not isinstance(inner, list):
                raise UnfitError("no_list", f"There is no list at {self._mapping.each}.")
        if not isinstance(inner, list):
            return [inner]
        if len(inner) > MOST_EVENTS:
            raise UnfitError("over_batch_limit", f"It holds {len(inner)} events; {MOST_EVENTS} are taken at most.")
        return inner

    def message(self, document: Any, headers: Mapping[str, str] = _NONE) -> dict[str, Any]:
        """One event in Almanac's own form. Raises `UnfitError` for what cannot be one."""
        if not isinstance(document, dict):
            raise UnfitError("not_an_object", "It is not a JSON object.")
        taken: list[tuple[Step, ...]] = []

        def take(picks: tuple[Pick, ...], *, plain: bool = True) -> Any:
            value, pick = found(picks, document, headers)
            if plain and isinstance(value, (dict, list)):
                return MISSING
            if isinstance(pick, Path):
                taken.append(pick.steps)
            return value

        message: dict[str, Any] = {}
        for name, picks in self._picks.single.items():
            if name in ("revenue", "currency"):
                continue
            value = take(picks)
            if value is not MISSING:
                message[name] = instant(text_of(value)) if name == "time" else text_of(value)
        if not message.get("event"):
            raise UnfitError("no_name", self._nameless())
        for name in _TEXTS:
            if not message.get(name):
                message.pop(name, None)
        several = {
            part: {name: value for name, picks in names.items() if (value := take(picks, plain=part == "groups")) is not MISSING}
            for part, names in self._picks.several.items()
        }
        properties = {**several["properties"], **self._money(take)}
        if several["groups"]:
            message["groups"] = {name: text_of(value) for name, value in several["groups"].items()}
        if several["person"]:
            message["person"] = {"set": several["person"]}
        others = without(document, taken)
        if self._mapping.others == "properties":
            properties = {**others, **properties}
        elif others:
            message[REST] = others
        if properties:
            message["properties"] = properties
        return message

    def _nameless(self) -> str:
        pick = self._mapping.event
        if pick is None:
            return "The mapping does not say what the event is called."
        return f"There is no name of an event at {pick if isinstance(pick, str) else ' or '.join(pick)}."

    def _money(self, take: Any) -> dict[str, Any]:
        money: dict[str, Any] = {}
        currency = take(self._picks.single["currency"]) if "currency" in self._picks.single else MISSING
        if currency is not MISSING and text_of(currency):
            money["currency"] = text_of(currency).upper()
        if "revenue" in self._picks.single:
            amount = take(self._picks.single["revenue"])
            if amount is not MISSING:
                money["revenue"] = major(amount, str(money.get("currency", ""))) if self._mapping.minor_units else number_of(amount)
        return money


def number_of(value: Any) -> Decimal:
    """An amount as a number, also of a text that is one. Raises `UnfitError`: revenue must not go missing in silence."""
    try:
        number = Decimal(text_of(value).strip())
    except ArithmeticError:
        number = Decimal("NaN")
    if isinstance(value, bool) or not number.is_finite() or abs(number.adjusted()) > 300:
        raise UnfitError("no_amount", f"The revenue {text_of(value)[:50]!r} is not a number.")
    return number


def major(value: Any, currency: str) -> Decimal:
    """An amount in a currency's smallest unit as one in the currency itself. Raises `UnfitError`."""
    return number_of(value).scaleb(-_EXPONENTS.get(currency.upper(), 2))


def read(text: bytes, *, levels: int) -> Any:
    """JSON as Python has it, without loss of a digit. Raises `UnfitError`."""
    if bodies.depth(text) > levels:
        raise UnfitError("too_deep", f"It nests deeper than {levels} levels.")
    try:
        return json.loads(text, parse_float=_float, parse_constant=str)
    except (ValueError, RecursionError):
        raise UnfitError("not_json", "It is not JSON.") from None


def _float(text: str) -> Any:
    number = Decimal(text)
    return number if abs(number.adjusted()) <= 300 else text  # what no float holds stays as it is written


def encoded(message: Any) -> bytes:
    """As JSON."""
    return _ENCODER.encode(message)


def identified(messages: list[dict[str, Any]], prefix: str, delivery: str) -> Iterator[dict[str, Any]]:
    """The messages of one delivery with ids: their own, or that of the delivery and their place in it."""
    for place, message in enumerate(messages):
        own = str(message.get("id") or (delivery if len(messages) == 1 else f"{delivery}#{place}" if delivery else ""))
        whole = f"{prefix}:{own}"
        if own and len(whole) <= LONGEST_ID:
            yield {**message, "id": whole}
        else:
            yield {**message, "id": derived_id(f"{prefix}\0{own or encoded(message).decode()}".encode("utf-8", "replace"))}
