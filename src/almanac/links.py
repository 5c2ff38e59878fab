"""Links by which people without a key look at one board: each with an end, filters of its own, and filters that an embedder signs.

A link is a document of the catalog. Of its token only the SHA-256 is kept; the secret for signing is kept as it is, as it has to be
reckoned with, and told once.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from almanac.boards import checked_filters, plain
from almanac.core.errors import AlmanacError, Code, denied, limited, not_found
from almanac.core.filters import Condition
from almanac.core.ports import Catalog
from almanac.definitions import Definitions

KIND: Final = "link"  # of documents
MOST: Final = 1000  # links of a project
_LONGEST_FILTER: Final = 8000  # letters
_WAY_OUT: Final = "Ask whoever sent it for a new one."


@dataclass(frozen=True)
class Link:
    """A way to one board. `filters` come to those of the board. `signing`: "" when viewers need no signed filter."""

    id: str
    project: str
    board: str
    label: str
    filters: list[dict[str, Any]]
    embed: bool
    created_by: str
    created_at: datetime
    expires: datetime | None = None
    revoked_at: datetime | None = None
    token_hash: str = field(default="", repr=False)
    signing: str = field(default="", repr=False)


class Links:
    """The links of all projects. Threads may share it; project arguments are ids."""

    def __init__(self, catalog: Catalog, definitions: Definitions, clock: Callable[[], datetime]) -> None:
        self._catalog = catalog
        self._definitions = definitions
        self._clock = clock

    def make(
        self,
        project: str,
        board: str,
        *,
        label: str,
        expires: datetime | None,
        filters: Sequence[Mapping[str, Any]],
        embed: bool,
        signed: bool,
        author: str,
    ) -> tuple[Link, str]:
        """A new link and its token, in the only moment when that and the secret for signing can be read. Raises `not_found` for the board,
        and for a segment in the filters, and `invalid` for the filters."""
        self._definitions.get(project, "board", board)
        if len(self._catalog.documents(KIND, project)) >= MOST:
            raise limited(f"The project has {MOST:,} links.", way_out="Remove boards or links that nobody needs.")
        written = [plain(item) for item in checked_filters(filters, self._definitions.names(project))]
        id_, secret = secrets.token_hex(6), secrets.token_urlsafe(24)
        token = f"{project}.{id_}.{secret}"
        link = Link(
            id=id_,
            project=project,
            board=board,
            label=label,
            filters=written,
            embed=embed,
            created_by=author,
            created_at=self._clock(),
            expires=expires,
            token_hash=_hash(token),
            signing=secrets.token_urlsafe(32) if signed else "",
        )
        self._put(link)
        return link, token

    def of_board(self, project: str, board: str) -> list[Link]:
        """All links to it, revoked ones too, the oldest first."""
        found = [_link(project, id_, body) for id_, body in self._catalog.documents(KIND, project).items()]
        return sorted((link for link in found if link.board == board), key=lambda link: link.created_at)

    def revoke(self, project: str, board: str, id_: str) -> None:
        """It opens nothing from now on. May be repeated. Raises `not_found`."""
        body = self._catalog.get(KIND, project, id_)
        if body is None or body["board"] != board:
            raise not_found(f"The board has no link {id_!r}.", place="link", way_out="List its links to see their ids.")
        if body["revoked_at"] is None:
            self._catalog.put(KIND, project, id_, {**body, "revoked_at": self._clock().isoformat()})

    def open(self, token: str) -> Link:
        """The link of this token. Raises `not_found`, with status 410 for one that has ended."""
        project, _, rest = token.partition(".")
        id_, _, _ = rest.partition(".")
        body = self._catalog.get(KIND, project, id_) if project and id_ else None
        link = _link(project, id_, body) if body else None
        if link is None or not hmac.compare_digest(link.token_hash, _hash(token)):
            raise not_found("There is no such link.", place="token", way_out="Check that it was copied whole.")
        if link.revoked_at is not None:
            raise _gone(f"This link was revoked on {link.revoked_at:%Y-%m-%d}.")
        if link.expires is not None and link.expires <= self._clock():
            raise _gone(f"This link ended on {link.expires:%Y-%m-%d at %H:%M} UTC.")
        return link

    def filters(self, link: Link, signed: str) -> list[Condition]:
        """All that whoever comes by this link is limited by: the link's own filters and those of `signed`, `PAYLOAD.SIGNATURE`.

        Raises `denied` (403) for a link that needs it and has none, and for one that is not ours, or stale."""
        names = self._definitions.names(link.project)
        own = checked_filters(link.filters, names)
        if not link.signing:
            if signed:
                raise _refused("This link takes no signed filter.", "Leave filter out, or make a link with signing.")
            return own
        if not signed:
            raise _refused("This link is for embedding with a signed filter, and there is none.", "Add &filter=PAYLOAD.SIGNATURE.")
        return [*own, *checked_filters(self._payload(link, signed), names)]

    def _payload(self, link: Link, signed: str) -> Any:
        payload, _, signature = signed.rpartition(".")
        wanted = hmac.new(link.signing.encode(), payload.encode("utf-8", "replace"), hashlib.sha256).hexdigest()
        if len(signed) > _LONGEST_FILTER or not hmac.compare_digest(wanted.encode(), signature.encode("utf-8", "replace")):
            raise _refused("The filter is not signed with this link's secret.", "Sign the payload as the page on sharing says.")
        try:
            said = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
            filters, end = said["filters"], float(said["exp"])
        except (ValueError, KeyError, TypeError, binascii.Error, RecursionError):
            raise _refused("The signed filter cannot be read.", 'Sign {"filters": […], "exp": SECONDS} as base64url.') from None
        if not end > self._clock().timestamp():
            raise _refused("The signed filter is stale.", "Load the page that embeds it again.")
        return filters

    def _put(self, link: Link) -> None:
        body = {
            "board": link.board,
            "label": link.label,
            "filters": link.filters,
            "embed": link.embed,
            "created_by": link.created_by,
            "created_at": link.created_at.isoformat(),
            "expires": link.expires.isoformat() if link.expires else None,
            "revoked_at": None,
            "token_hash": link.token_hash,
            "signing": link.signing,
        }
        self._catalog.put(KIND, link.project, link.id, body)


def _link(project: str, id_: str, body: dict[str, Any]) -> Link:
    times = {name: _moment(body[name]) for name in ("expires", "revoked_at")}
    created = datetime.fromisoformat(body["created_at"])
    return Link(project=project, id=id_, **{**body, **times, "created_at": created})


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _gone(message: str) -> AlmanacError:
    return AlmanacError(Code.NOT_FOUND, message, place="token", way_out=_WAY_OUT, status=410)


def _refused(message: str, way_out: str) -> AlmanacError:
    return denied(message, way_out=way_out, status=403)
