"""From the bytes of a request to JSON that a strict parser takes.

Content types lie, compression comes unannounced, and what SDKs call JSON is not always JSON. So bodies are sniffed
(`unpack`) and mended as far as needed (`clean` always, `mend` when a parser has refused it). All of it works on bytes, so that numbers
and texts stay to the letter what the sender wrote.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import json
import re
import sys
import zlib
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec

from almanac.core.errors import AlmanacError, invalid

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_BOM: Final = b"\xef\xbb\xbf"
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/_\-\s]+=*\s*")
_NO_PERCENT: Final = re.compile(rb"%(?![0-9a-fA-F]{2})")
_MOST_FIELDS: Final = 100
_JSON_START: Final = b'{["'
LISTS: Final = re.compile(rb'"(?:batch|events|data|requests)"\s*:\s*\Z')
_ROUNDS: Final = 4  # wrappings that one body may have: gzip in base64 in a form is three
MOST_VALUES: Final = 2_000_000
MOST_OBJECTS: Final = 700_000

_STRING: Final = (
    rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)'  # an unfinished text too: failing at its start again and again would take for ever
)
_NOT_A_NUMBER: Final = re.compile(_STRING + rb"|(-?Infinity|NaN)", re.DOTALL)
_TEXT: Final = re.compile(_STRING, re.DOTALL)
# Escapes of a surrogate that seem to lack their other half. After an escaped backslash it may be a mistake: `_ESCAPE` reads every escape.
_ALONE: Final = re.compile(
    rb"\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})|[c-fC-F](?<!(?<!\\)\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD].))"
)
_ESCAPE: Final = re.compile(rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL)
_BRACKET: Final = re.compile(_STRING + rb"|([\[{])|([\]}])", re.DOTALL)


def too_large(limit: int) -> AlmanacError:
    """The body is over the limit, as it came or unpacked."""
    return invalid(f"The request is larger than {limit} bytes.", status=413, way_out="Send fewer events in one request.")


def unpack(body: bytes, *, encoding: str, query: Mapping[str, str], limit: int) -> bytes:
    """The JSON inside `body`, whatever it is wrapped in: Content-Encoding, compression by its first bytes, a form's `data=`, base64 of
    either alphabet, padded or not; with an empty body, the query's `data=`.

    Stops unpacking at `limit` bytes. Raises `invalid` (413, or 400 for what cannot be unpacked).
    """
    body = decompress(body, encoding=encoding, limit=limit)
    if not body and "data" in query:
        body = query["data"].encode("utf-8", "surrogateescape")
    for _ in range(_ROUNDS):
        start = body.lstrip()[:1] if body[:1].isspace() else body[:1]
        if start and start in _JSON_START:
            break
        if body[:2] == _GZIP or body[:4] == _ZSTD:
            body = _decompress(body, "", limit)
        elif body[:3] == _BOM:
            body = body[3:]
        elif (found := _form_data(body)) is not None or (found := _base64(body)) is not None:
            body = found
        else:
            break
    return body


def decompress(body: bytes, *, encoding: str, limit: int) -> bytes:
    """The body without the compression that its Content-Encoding announces; nothing else is looked for in it.

    Stops at `limit` bytes. Raises `invalid` (413, or 400 for what cannot be unpacked).
    """
    for name in reversed([name.strip().lower() for name in encoding.split(",")] if encoding else []):
        body = _decompress(body, name, limit)
    return body


def crowded(body: bytes) -> bool:
    """Whether it holds so many values that reading them would take many times the memory of the body itself. Events as people send them
    fill a body of the largest size long before that."""
    if len(body) <= MOST_OBJECTS:  # counting took a tenth of a usual request's time
        return False
    return body.count(b",") > MOST_VALUES or body.count(b"{") > MOST_OBJECTS or body.count(b"\n") > MOST_VALUES


def clean(body: bytes) -> bytes:
    """Valid UTF-8 on one line: pairs of surrogates that were encoded one by one (CESU-8) are joined, other bytes that are no UTF-8 become
    U+FFFD, and so do escapes of surrogates without their other half, which the store refuses. Line ends between values become spaces,
    because a log line must not hold one."""
    if not body.isascii():
        try:
            body.decode("utf-8")
        except UnicodeDecodeError:
            body = _joined(body.decode("utf-8", "almanac_tolerant")).encode("utf-8")
    if b"\n" in body or b"\r" in body:
        body = _on_one_line(body)
    if b"\\" in body and _ALONE.search(body):
        body = _ESCAPE.sub(lambda found: b"\\ufffd" if found[1] else found[0], body)
    return body


def plain(text: str) -> str:
    """A text of an address or a form, read with `surrogateescape`, with U+FFFD for what was no UTF-8; surrogate pairs are joined."""
    if text.isascii():
        return text
    return _joined(text.encode("utf-8", "surrogateescape").decode("utf-8", "almanac_tolerant"))


def mend(body: bytes) -> bytes:
    """Makes JSON of what a strict parser refused, after `clean`: NaN and Infinity become texts, control characters in texts their escapes.
    Raises `invalid` for what is not JSON at all."""
    if b"NaN" in body or b"Infinity" in body:
        body = _NOT_A_NUMBER.sub(_as_text, body)
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except RecursionError:
        return body
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return _reread(body, error)
    return body


def sever(body: bytes, levels: int, lists: re.Pattern[bytes] = LISTS, at: int = 2) -> tuple[bytes, dict[bytes, bytes]]:
    """Takes out the messages that nest deeper than `levels`, so that a parser gets through the others.

    A message is an element of the list of messages, or the body itself when there is no such list. Each is replaced by a text that stands
    for it; the second value tells what each of these texts stands for. `lists`: what stands before a list of messages that is not the body;
    `at`: its level, where the body is 1.
    """
    taken: dict[bytes, bytes] = {}
    pieces: list[bytes] = []
    opened: list[int] = []
    done, level, deepest = 0, 1, 0
    for found in _BRACKET.finditer(body):
        if found[1]:
            opened.append(found.start())
            if found[1] == b"[" and level == 1 and _begins_messages(body, found.start(), len(opened), lists, at):
                level = len(opened) + 1
            deepest = max(deepest, len(opened))
        elif found[2] and opened:
            start = opened.pop()
            if len(opened) + 1 == level:
                if deepest - len(opened) > levels:
                    name = b'"\\u0000deep:%d"' % len(taken)
                    taken[name] = body[start : found.end()]
                    pieces += [body[done:start], name]
                    done = found.end()
                deepest = 0
    pieces.append(body[done:])
    return b"".join(pieces), taken


def _begins_messages(body: bytes, start: int, level: int, lists: re.Pattern[bytes], at: int) -> bool:
    return (level == 1 and at == 2) or (level == at and lists.search(body, max(0, start - 40), start) is not None)


def depth(value: bytes) -> int:
    """How deep the lists and objects of this JSON nest; 0 for a plain value."""
    level = deepest = 0
    for found in _BRACKET.finditer(value):
        if found[1]:
            level += 1
            deepest = max(deepest, level)
        elif found[2]:
            level -= 1
    return deepest


def _on_one_line(body: bytes) -> bytes:
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):  # perhaps line ends within texts, which some hand-made senders do not escape
        body = _TEXT.sub(lambda found: found[0].replace(b"\n", b"\\n").replace(b"\r", b"\\r"), body)
    return body.replace(b"\n", b" ").replace(b"\r", b" ")


def _reread(body: bytes, error: Exception) -> bytes:
    try:
        value = json.loads(body.decode("utf-8", "replace"), strict=False)
        written = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
        return _NOT_A_NUMBER.sub(_as_text, written)
    except RecursionError:
        return body
    except ValueError:
        raise invalid(f"The request is not JSON: {error}.", way_out="Send a JSON object or list.") from None


def _as_text(found: re.Match[bytes]) -> bytes:
    return b'"' + found[1] + b'"' if found[1] else found[0]


def _tolerant(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    three = error.object[error.start : error.start + 3]
    if len(three) == 3 and three[0] == 0xED and 0xA0 <= three[1] <= 0xBF and 0x80 <= three[2] <= 0xBF:
        return chr(0xD000 | (three[1] & 0x3F) << 6 | three[2] & 0x3F), error.start + 3
    return "�", error.end


codecs.register_error("almanac_tolerant", _tolerant)


def _joined(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _decompress(body: bytes, name: str, limit: int) -> bytes:
    try:
        if body[:2] == _GZIP:
            return _inflate(body, 31, limit)
        if body[:4] == _ZSTD:
            return _unzstd(body, limit)
        if name == "deflate":
            return _inflate(body, 15 if body[:1] and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0 else -15, limit)
    except (zlib.error, zstd.ZstdError, EOFError) as error:
        raise invalid(f"The body cannot be unpacked: {error}.", way_out="Send it whole, or without compression.") from None
    if name in ("", "identity", "gzip", "x-gzip", "zstd", "aws-chunked"):
        return body  # announced but not done: some proxies unpack a body and leave its header
    raise invalid(f"The content encoding {name!r} is not known.", status=415, way_out="Use gzip, deflate, zstd or none.")


def _inflate(body: bytes, window: int, limit: int) -> bytes:
    whole = b""
    while body:
        stream = zlib.decompressobj(window)
        whole += stream.decompress(body, limit + 1 - len(whole))
        if len(whole) > limit:
            raise too_large(limit)
        if not stream.eof:
            raise EOFError("it ends too early")
        body = stream.unused_data if stream.unused_data[:2] == _GZIP else b""
    return whole


def _unzstd(body: bytes, limit: int) -> bytes:
    stream = zstd.ZstdDecompressor()
    whole = stream.decompress(body, limit + 1)
    while not stream.eof and len(whole) <= limit:
        more = stream.decompress(b"", limit + 1 - len(whole))
        if not more and stream.needs_input:
            raise EOFError("it ends too early")
        whole += more
    if len(whole) > limit:
        raise too_large(limit)
    return whole


def _form_data(body: bytes) -> bytes | None:
    if body[:5] != b"data=" and b"&data=" not in body:
        return None
    fields = body.split(b"&", _MOST_FIELDS)
    if len(fields) > _MOST_FIELDS:
        return None
    data = next((field[5:] for field in reversed(fields) if field[:5] == b"data="), b"")
    data = percent_decoded(data.replace(b"+", b" "))
    return data if data[:1] in (b"{", b"[", b'"') else data.replace(b" ", b"+")


def percent_decoded(text: bytes) -> bytes:
    """The bytes that %XX stand for. `urllib` loops over every one of them, and forms of JSON are full of them: that took most of a
    request's time. Quoted-printable is the same but for its sign."""
    if _NO_PERCENT.search(text) or b"\n" in text or b"\r" in text:
        return unquote_to_bytes(text)
    return binascii.a2b_qp(text.replace(b"=", b"=3D").replace(b"%", b"="))


def _base64(body: bytes) -> bytes | None:
    if not _BASE64.fullmatch(body):
        return None
    text = b"".join(body.split()).translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None
