"""As much of S3 as a source needs: listing a bucket and getting an object, signed (Signature Version 4) or not."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, unquote, urlsplit
from xml.etree import ElementTree

from almanac.core.errors import invalid
from almanac.core.source import S3
from almanac.ingest.source_fetch import Answer, Wall, fetched

_EMPTY: Final = hashlib.sha256(b"").hexdigest()
_LONGEST_LIST: Final = 16 << 20  # bytes of a page of 1,000 names
PAGE = 1000  # names in a page of a list
_MOST_PAGES: Final = 10_000
_PLAIN_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")


@dataclass(frozen=True)
class Object:
    """One object. `tag`: another one when its content is."""

    key: str
    size: int
    tag: str
    modified: datetime | None


class Bucket:
    """The bucket of a source."""

    def __init__(self, source: S3, wall: Wall) -> None:
        self._source = source
        self._wall = wall
        if source.endpoint:
            self._base = f"{source.endpoint}/{quote(source.bucket, safe='')}"
        elif _PLAIN_NAME.fullmatch(source.bucket):
            self._base = f"https://{source.bucket}.s3.{source.region}.amazonaws.com"
        else:
            self._base = f"https://s3.{source.region}.amazonaws.com/{quote(source.bucket, safe='')}"

    def objects(self) -> Iterator[Object]:
        """All under the prefix, by their keys. Raises `invalid`, `unavailable`."""
        token = ""
        for _ in range(_MOST_PAGES):
            query = {"list-type": "2", "encoding-type": "url", "max-keys": str(PAGE)}
            if self._source.prefix:
                query["prefix"] = self._source.prefix
            if token:
                query["continuation-token"] = token
            with self._get("/", query, {}) as answer:
                if answer.status != 200:
                    raise answer.fault()
                body = answer.whole(_LONGEST_LIST)
            found, token = _listed(body)
            yield from found
            if not token:
                return
        raise invalid(f"The bucket has more than {_MOST_PAGES * PAGE:,} objects there.", place="prefix", way_out="Give a longer prefix.")

    def get(self, key: str, tag: str) -> AbstractContextManager[Answer]:
        """An object, if it is still that of the tag."""
        headers = {"If-Match": tag} if tag else {}
        return self._get("/" + quote(key, safe="/-_.~"), {}, headers)

    def _get(self, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> AbstractContextManager[Answer]:
        text = "&".join(f"{quote(name, safe='-_.~')}={quote(query[name], safe='-_.~')}" for name in sorted(query))
        url = self._base + path + (f"?{text}" if text else "")
        signed = signed_headers(self._source, url, text, datetime.now(UTC)) if self._source.access_key else {}
        return fetched(self._wall, url, {**headers, **signed}, follow=False)


def signed_headers(source: S3, url: str, query: str, now: datetime) -> dict[str, str]:
    """The headers that sign a GET of this address: AWS Signature Version 4, as its documentation tells it, for the service s3."""
    parts = urlsplit(url)
    moment, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    canonical = f"host:{parts.netloc}\nx-amz-content-sha256:{_EMPTY}\nx-amz-date:{moment}\n"
    names = "host;x-amz-content-sha256;x-amz-date"
    request = "\n".join(("GET", parts.path, query, canonical, names, _EMPTY))
    scope = f"{day}/{source.region}/s3/aws4_request"
    to_sign = "\n".join(("AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(request.encode()).hexdigest()))
    key = f"AWS4{source.secret_key}".encode()
    for part in (day, source.region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), "sha256").digest()
    signature = hmac.new(key, to_sign.encode(), "sha256").hexdigest()
    return {
        "Host": parts.netloc,
        "x-amz-content-sha256": _EMPTY,
        "x-amz-date": moment,
        "Authorization": f"AWS4-HMAC-SHA256 Credential={source.access_key}/{scope}, SignedHeaders={names}, Signature={signature}",
    }


def _listed(body: bytes) -> tuple[list[Object], str]:
    """The objects of a page, and the token of the next one, "" on the last."""
    try:
        if b"<!DOCTYPE" in body[:1000]:  # entities could grow without end
            raise ElementTree.ParseError
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError:
        raise invalid("The answer is no list of objects.", place="endpoint", way_out="Check that the endpoint speaks S3.") from None
    for element in root.iter():  # stores differ in the namespace
        element.tag = element.tag.rpartition("}")[2]
    if root.tag != "ListBucketResult":
        raise invalid("The answer is no list of objects.", place="endpoint", way_out="Check that the endpoint speaks S3.")
    urls = root.findtext("EncodingType") == "url"
    found: list[Object] = []
    for entry in root.findall("Contents"):
        key = entry.findtext("Key") or ""
        size = entry.findtext("Size") or "0"
        found.append(
            Object(
                unquote(key.replace("+", " ")) if urls else key,
                int(size) if size.isdigit() else 0,
                entry.findtext("ETag") or "",
                _moment(entry.findtext("LastModified") or ""),
            )
        )
    more = root.findtext("IsTruncated") == "true"
    return found, (root.findtext("NextContinuationToken") or "") if more else ""


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
