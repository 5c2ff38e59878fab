"""Where files of sources are: a bucket, addresses, a folder. Each lists its files and hands out the bytes of one."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from fnmatch import translate
from pathlib import Path
from typing import Final, Protocol

from almanac.core.errors import AlmanacError, invalid
from almanac.core.settings import Settings
from almanac.core.source import S3, Files, Folder, Http
from almanac.ingest.source_fetch import Wall, fetched
from almanac.ingest.source_s3 import Bucket

_CHUNK: Final = 1 << 20
MOST_FILES: Final = 1_000_000


@dataclass(frozen=True)
class Item:
    """A file. `tag` is another one when the content is, "" where that is known only when it is fetched; `size` in bytes, 0: unknown."""

    key: str
    tag: str = ""
    size: int = 0
    modified: datetime | None = None


@dataclass(frozen=True)
class Content:
    """The bytes of a file, and what is known of it now that it is fetched."""

    item: Item
    pieces: Iterator[bytes]


class Place(Protocol):
    """Somewhere with files."""

    def items(self) -> Iterator[Item]:
        """All of them. Raises `invalid`, `unavailable`."""
        ...

    def content(self, item: Item, known: str) -> contextlib.AbstractContextManager[Content | None]:
        """A file; None when it is still that of the tag `known`. Raises `invalid`, `unavailable`."""
        ...


def place_of(source: Files, settings: Settings) -> Place:
    """Where a source's files are."""
    wall = Wall(settings.source_networks)
    if isinstance(source, S3):
        return _InBucket(source, wall)
    if isinstance(source, Http):
        return _OnTheWeb(source, wall)
    if isinstance(source, Folder):
        return _InFolder(source, settings)
    raise AssertionError(f"{type(source).__name__} has no files")


class _InBucket:
    def __init__(self, source: S3, wall: Wall) -> None:
        self._bucket = Bucket(source, wall)
        self._prefix = source.prefix
        self._like = re.compile(translate(source.pattern))

    def items(self) -> Iterator[Item]:
        for found in self._bucket.objects():
            if not found.key.endswith("/") and self._like.match(found.key.removeprefix(self._prefix)):
                yield Item(found.key, found.tag or f"{found.size} {found.modified}", found.size, found.modified)

    @contextlib.contextmanager
    def content(self, item: Item, known: str) -> Iterator[Content | None]:
        if item.tag == known:
            yield None
            return
        with self._bucket.get(item.key, item.tag if item.tag.startswith('"') else "") as answer:
            if answer.status == 412:
                raise invalid(f"{item.key} was changed while it was fetched.", place=item.key, way_out="It is looked at again next time.")
            if answer.status != 200:
                raise answer.fault()
            yield Content(item, answer.pieces())


class _OnTheWeb:
    def __init__(self, source: Http, wall: Wall) -> None:
        self._source = source
        self._wall = wall

    def items(self) -> Iterator[Item]:
        for url in self._source.urls:
            yield Item(url)

    @contextlib.contextmanager
    def content(self, item: Item, known: str) -> Iterator[Content | None]:
        headers = dict(self._source.headers)
        tag, _, since = known.partition("\n")
        if tag:
            headers["If-None-Match"] = tag
        if since:
            headers["If-Modified-Since"] = since
        with fetched(self._wall, item.key, headers) as answer:
            if answer.status == 304 and known:
                yield None
                return
            if answer.status != 200:
                raise answer.fault()
            tag, since = answer.header("etag"), answer.header("last-modified")
            size = answer.header("content-length")
            found = Item(item.key, f"{tag}\n{since}" if tag or since else "", int(size) if size.isdigit() else 0, _date(since))
            yield Content(found, answer.pieces())


class _InFolder:
    def __init__(self, source: Folder, settings: Settings) -> None:
        self._root = Path(source.path)
        self._pattern = source.pattern
        self._own = settings.data.resolve()

    def items(self) -> Iterator[Item]:
        try:
            root = self._root.resolve(strict=True)
        except (OSError, RuntimeError):
            raise invalid(f"There is no folder {self._root}.", place="path", way_out="Make it, or name another one.") from None
        if not root.is_dir():
            raise invalid(f"{self._root} is no folder.", place="path", way_out="Name a folder, and its files by the pattern.")
        if root == self._own or self._own in root.parents or root in self._own.parents:
            raise invalid(f"{self._root} holds Almanac's own data.", place="path", way_out="Name another folder.")
        try:
            for count, path in enumerate(self._root.glob(self._pattern)):
                if count >= MOST_FILES:
                    raise invalid(f"The folder has more than {MOST_FILES:,} files.", place="pattern", way_out="Name fewer by the pattern.")
                if (item := self._item(path, root)) is not None:
                    yield item
        except (OSError, ValueError, NotImplementedError) as error:
            raise invalid(f"The folder cannot be read: {error}.", place="path") from None

    def _item(self, path: Path, root: Path) -> Item | None:
        """None for what is no file, or is one of another place that a link leads to."""
        try:
            if root not in path.resolve(strict=True).parents or not path.is_file():
                return None
            stat = path.stat()
        except (OSError, RuntimeError):
            return None  # gone meanwhile
        tag = f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ino}"
        return Item(str(path.relative_to(self._root)), tag, stat.st_size, datetime.fromtimestamp(stat.st_mtime, UTC))

    @contextlib.contextmanager
    def content(self, item: Item, known: str) -> Iterator[Content | None]:
        if item.tag == known:
            yield None
            return
        try:
            with (self._root / item.key).open("rb") as file:
                yield Content(item, iter(lambda: file.read(_CHUNK), b""))
        except OSError as error:
            raise _unreadable(item, error) from None


def _unreadable(item: Item, error: OSError) -> AlmanacError:
    return invalid(f"{item.key} cannot be read: {error.strerror or error}.", place=item.key, way_out="Check its rights.")


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
