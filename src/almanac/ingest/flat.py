"""Messages that are flat lists of names and texts, as query strings and forms are, and senders that have no write key of their own to give.

What a protocol does not take out of a message stays in it and is kept in the event's `rest`, so that nothing can be lost by oversight.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Final
from urllib.parse import unquote_to_bytes

from almanac.core.errors import AlmanacError, Code
from almanac.core.event import Event, Raw
from almanac.ingest import messages as reading
from almanac.ingest.answers import Answer
from almanac.ingest.body import plain
from almanac.ingest.call import Call
from almanac.ingest.messages import Fields, UnfitError

Flat = dict[str, str]
Values = dict[str, Raw | str]  # texts, and JSON as it is written
Build = Callable[[int, Flat], Event]

NO_STORE: Final = ((b"cache-control", b"no-store"),)  # what was answered to a GET that creates an event must not be answered again
PIXEL: Final = Answer(200, base64.b64decode(b"R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"), b"image/gif", NO_STORE)
NO_CONTENT: Final = Answer(204, headers=NO_STORE)

_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,20})?")
_MOST_FIELDS: Final = 1000
_REMEMBERED: Final = 4096
_MOST_TRIED: Final = 20  # texts of a request that might be a key: each unknown one may cost a look into the catalog


def of_query(query: Mapping[str, str]) -> Flat:
    """The parameters of an address."""
    return {plain(name): plain(value) for name, value in query.items()}


def of_form(text: str) -> Flat | None:
    """What stands in a form's body or behind an address's question mark; None when these are more than 1000 members.

    `urllib.parse.parse_qsl` means the same and takes several times as long.
    """
    if text.count("&") >= _MOST_FIELDS:
        return None
    found: Flat = {}
    for pair in plain(text.replace("+", " ")).split("&"):
        name, _, value = pair.partition("=")
        if "%" in pair:
            name, value = _unescaped(name), _unescaped(value)
        if pair:
            found[name] = value
    return found


def _unescaped(text: str) -> str:
    if "%" not in text:
        return text
    written = unquote_to_bytes(text)
    try:
        return written.decode()
    except UnicodeDecodeError:
        return plain(written.decode("utf-8", "surrogateescape"))


def of_fields(fields: Fields) -> Flat:
    """The members of a JSON object as texts."""
    return {name: reading.text_of(value) for name, value in fields.items()}


def number(text: str) -> Raw | str:
    """A number where the text is one as JSON writes it; else the text."""
    return Raw(text.encode()) if _NUMBER.fullmatch(text) else text


@lru_cache(_REMEMBERED)
def _second(digits: str) -> str:
    return reading.instant(digits)


def instant(text: str) -> str:
    """Like `reading.instant`, in a third of the time where it is seconds, milli- or microseconds since 1970: what repeats is remembered."""
    if len(text) in (10, 13, 16) and text.isascii() and text.isdigit():
        second, rest = _second(text[:10]), text[10:]
        return f"{second[:-6]}.{rest:0<6}+00:00" if rest.strip("0") else second
    return reading.instant(text)


def moved(message: Flat, names: Mapping[str, str], numbers: frozenset[str] = frozenset()) -> Values:
    """Takes members out of a message, under new names. `numbers`: of these, those that are numbers, by their old names."""
    if message.keys().isdisjoint(names):
        return {}
    found: Values = {}
    for old, new in names.items():
        if old in message:
            value = message.pop(old)
            found[new] = number(value) if old in numbers else value
    return found


def take(call: Call, messages: Sequence[Flat], build: Build) -> None:
    """Builds the events of messages that are small enough each. `build` leaves its message as it is."""
    most = call.settings.batch_limit
    for index, message in enumerate(messages if len(messages) <= most else messages[:most]):
        try:
            call.events.append(build(index, message))
        except UnfitError as unfit:
            call.reject(index, unfit.reason, unfit.detail, bytes(reading.encoded(message)))
    if len(messages) > most:
        call.reject_rest([reading.encoded(message) for message in messages[most:]])


def take_any(call: Call, items: Sequence[Raw], build: Build, read: Callable[[Raw], Flat | None] = lambda raw: None) -> None:
    """The same for JSON of any form. `read`: what to make of an item that is no object; None: nothing.

    A list among the items stands for what is in it: a dead letter of many messages is one, and comes back as it is.
    """
    most, largest = call.settings.batch_limit, call.settings.event_limit
    items = [inner for raw in items for inner in (bytes(raw)[:1] == b"[" and reading.items_of(raw)) or (raw,)]
    for index, raw in enumerate(items[:most]):
        if len(raw) > largest:
            call.reject(index, "too_large", f"It is larger than {largest} bytes.", bytes(raw))
            continue
        fields = reading.fields_of(raw)
        message = of_fields(fields) if fields is not None else read(raw)
        if message is None:
            call.reject(index, "not_an_object", "It is not a JSON object.", bytes(raw))
            continue
        try:
            call.events.append(build(index, message))
        except UnfitError as unfit:
            call.reject(index, unfit.reason, unfit.detail, bytes(raw))
    if len(items) > most:
        call.reject_rest(items[most:])


class Owner:
    """Whose messages these are: the project of the request's own key, or else of a key that each message names.

    Vendors without write keys have names in their place (an app id, a site's number): a project may have such a name as its write key.
    """

    def __init__(self, call: Call, around: Sequence[str | None], within: Iterable[Sequence[str]]) -> None:
        """`around`: keys of the whole request, `within`: what each message says. The first known key counts. Raises `denied`."""
        self._call = call
        secret = known(call, chain(around, chain.from_iterable(within)))
        call.admit(secret)
        self._common = secret in around
        self._secrets = {secret}
        self._found: dict[tuple[str, ...], str] = {}

    def of(self, *within: str) -> str:
        """The project of a message that says `within`. Raises `UnfitError` when none of it is a key, `unavailable` when that cannot be
        found out."""
        if self._common or not any(within):
            return self._call.project
        project = self._found.get(within)
        if project is None:
            try:
                secret = known(self._call, within)
            except AlmanacError as error:
                if error.code is not Code.DENIED:
                    raise
                raise UnfitError(
                    "unknown_key", f"Another message of the request has a write key, but {within[-1][:100]!r} is none."
                ) from None
            project = self._found[within] = self._call.keys.grant(secret).project
            self._secrets.add(secret)
        return project

    def is_key(self, text: str) -> bool:
        """Whether messages of this request were let in by this text."""
        return text in self._secrets


def known(call: Call, secrets: Iterable[str | None]) -> str:
    """The first of these that is a write key. Raises `denied` when none is, `unavailable` when that cannot be found out."""
    refused: AlmanacError | None = None
    tried: set[str] = set()
    for secret in secrets:
        if not secret or secret in tried:
            continue
        try:
            call.keys.grant(secret)
        except AlmanacError as error:
            if refused is None or error.retryable:
                refused = error
        else:
            return secret
        tried.add(secret)
        if len(tried) == _MOST_TRIED:
            break
    if refused is None:
        call.keys.grant("")  # raises, but for a replay, whose key was checked when it came
        return ""
    raise refused
