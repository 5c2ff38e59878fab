"""Sources: where events come from without an SDK. Webhooks that vendors sign, and files that are fetched by a schedule.

A source is kept as a document of the catalog. Its secrets are kept as they are, as they have to be reckoned with, and shown never again.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, TypeAdapter, ValidationError, field_validator, model_validator

from almanac.core import schedule
from almanac.core.errors import AlmanacError, invalid
from almanac.core.faults import first_fault
from almanac.core.filters import Model
from almanac.core.mapping import Mapping
from almanac.core.schedule import Schedule

DOCUMENT: Final = "source"  # the kind of the catalog's documents
STATE: Final = "source_state"
MOST: Final = 200  # sources of a project
NAME: Final = r"^[a-z0-9][a-z0-9_-]{0,63}$"
_HIDDEN: Final = "…"

_Secret = Annotated[str, Field(min_length=1, max_length=1000)]


class Base(Model):
    """What all sources have."""

    enabled: bool = Field(True, description="False: deliveries are told to come back later, and no file is fetched.")


class Hook(Base):
    """What all webhooks have."""

    mapping: Mapping = Field(Mapping(), description="What of a delivery is what of an event; for vendors, what differs from their own.")


class Stripe(Hook):
    """Stripe's webhooks."""

    kind: Literal["stripe"]
    secret: str = Field("", max_length=1000, description="Signing secret of the endpoint, whsec_…")
    tolerance: int = Field(300, ge=1, le=86_400, description="Seconds that the signature's time may differ from the clock here.")
    revenue: Literal["charges", "invoices", "none"] = Field(
        "charges",
        description="Which events bring revenue, so that a payment counts once: charges (less refunds), paid invoices, or none.",
    )


class GitHub(Hook):
    """GitHub's webhooks."""

    kind: Literal["github"]
    secret: str = Field("", max_length=1000, description="Secret of the webhook.")


class Signature(Model):
    """How a sender shows that a delivery is his."""

    style: Literal["hmac", "token"] = Field("hmac", description="hmac: a code of the body, made with the secret; token: the secret itself.")
    header: str = Field("X-Signature", pattern=r"^[A-Za-z0-9-]{1,100}$", description="Header that holds it.")
    algorithm: Literal["sha256", "sha512", "sha1"] = Field("sha256", description="Hash of the code.")
    encoding: Literal["hex", "base64"] = Field("hex", description="How the code is written.")
    prefix: str = Field("", max_length=50, description="What stands before it, such as sha256= or Bearer.")
    signed: str = Field("{body}", max_length=200, description="What is signed: {body}, and {timestamp} and {id} of their headers.")
    key: Literal["text", "base64"] = Field("text", description="base64: the secret, less whsec_ before it, is base64 of the key.")
    timestamp_header: str = Field(
        "", pattern=r"^[A-Za-z0-9-]{0,100}$", description="Header with the time of sending, in seconds since 1970."
    )
    id_header: str = Field("", pattern=r"^[A-Za-z0-9-]{0,100}$", description="Header with the delivery's id.")
    tolerance: int = Field(300, ge=1, le=86_400, description="Seconds that the time of sending may differ from the clock here.")

    @model_validator(mode="after")
    def _signs(self) -> Signature:
        holes = re.findall(r"\{(\w*)\}", self.signed)
        if "body" not in holes:
            raise ValueError("what is signed has to hold {body}")
        for hole in holes:
            if hole not in ("body", "timestamp", "id"):
                raise ValueError(f"there is no {{{hole}}}: write {{body}}, {{timestamp}} or {{id}}")
            if hole != "body" and not getattr(self, f"{hole}_header"):
                raise ValueError(f"{{{hole}}} is signed, so {hole}_header has to name its header")
        if self.style == "hmac" and self.timestamp_header and "timestamp" not in holes:
            raise ValueError("a time that is not signed proves nothing: put {timestamp} into what is signed, or leave timestamp_header out")
        return self


class Generic(Hook):
    """Webhooks of anybody, by a mapping of one's own."""

    kind: Literal["generic"]
    secret: str = Field("", max_length=1000, description="Shared secret.")
    signature: Signature = Field(Signature(), description="How a delivery is signed.")
    sample: Any = Field(description="One delivery's body, as JSON: the mapping is tried on it whenever the source is saved.")
    sample_headers: dict[str, str] = Field({}, max_length=50, description="Headers of that delivery, as far as picks name them.")


class Files(Base):
    """What all sources of files have."""

    schedule: str = Field(
        "every hour", max_length=100, description="When to look: every 15 minutes, every day at 03:30, cron's fields, by hand."
    )
    format: str = Field("auto", max_length=20, description="auto, ndjson, json, csv, parquet, or whose events they are: native, almanac, …")
    mapping: Mapping | None = Field(None, description="What of a record is what of an event; left out: as the format says.")
    changes: Literal["take", "ignore"] = Field(
        "take", description="take: what is new in a file that grew or changed; ignore: a file is read once, and nothing is noted of it."
    )

    @field_validator("schedule")
    @classmethod
    def _is_a_schedule(cls, written: str) -> str:
        schedule.parse(written)
        return written

    @property
    def when(self) -> Schedule:
        """The schedule."""
        return schedule.parse(self.schedule)


class S3(Files):
    """Objects of an S3-compatible store."""

    kind: Literal["s3"]
    endpoint: str = Field("", max_length=500, description="https://host[:port] of a store other than Amazon's.")
    region: str = Field("us-east-1", pattern=r"^[a-z0-9-]{1,50}$", description="Region that requests are signed for.")
    bucket: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$", description="Name of the bucket.")
    prefix: str = Field("", max_length=1000, description="What the keys begin with.")
    pattern: str = Field(
        "*", min_length=1, max_length=500, description="What the rest of a key is like: *.ndjson.gz; * takes in any letters."
    )
    access_key: str = Field("", max_length=200, description="Access key; empty with an empty secret_key: requests are not signed.")
    secret_key: str = Field("", max_length=1000, description="Secret key.")

    @field_validator("endpoint")
    @classmethod
    def _is_an_address(cls, written: str) -> str:
        return _address(written).rstrip("/") if written else ""

    @model_validator(mode="after")
    def _both_keys(self) -> S3:
        if bool(self.access_key) != bool(self.secret_key):
            raise ValueError("access_key and secret_key go together")
        return self


class Http(Files):
    """Files of a web server."""

    kind: Literal["http"]
    urls: list[Annotated[str, Field(max_length=2000)]] = Field(min_length=1, max_length=1000, description="Their addresses.")
    headers: dict[str, _Secret] = Field({}, max_length=20, description="Headers of the requests, such as Authorization.")

    @field_validator("urls")
    @classmethod
    def _are_addresses(cls, written: list[str]) -> list[str]:
        if len(set(written)) < len(written):
            raise ValueError("an address is there twice")
        return [_address(url) for url in written]

    @field_validator("headers")
    @classmethod
    def _can_be_sent(cls, written: dict[str, str]) -> dict[str, str]:
        for name, value in written.items():
            if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", name) or name.lower() in (
                "host",
                "content-length",
                "transfer-encoding",
            ):
                raise ValueError(f"{name!r} is no header that can be set")
            if not (value.isascii() and value.isprintable()):
                raise ValueError(f"the value of {name} has letters that a header cannot hold")
        return written


class Folder(Files):
    """Files of a folder of the server's host."""

    kind: Literal["folder"]
    path: str = Field(min_length=1, max_length=1000, pattern=r"^/[^\x00]*$", description="The folder's absolute path.")
    pattern: str = Field(
        "**/*", min_length=1, max_length=500, description="Which files: *.ndjson of the folder, **/*.csv of those in it too."
    )

    @field_validator("pattern")
    @classmethod
    def _stays_within(cls, written: str) -> str:
        if written.startswith("/") or ".." in written.split("/") or "\0" in written:
            raise ValueError("the pattern stays within the folder")
        return written


Source = Annotated[Stripe | GitHub | Generic | S3 | Http | Folder, Field(discriminator="kind")]
_ANY: Final[TypeAdapter[Any]] = TypeAdapter(Source)
MODELS: Final[dict[str, type[Base]]] = {
    "stripe": Stripe, "github": GitHub, "generic": Generic, "s3": S3, "http": Http, "folder": Folder,
}  # fmt: skip
_SECRETS: Final = ("secret", "secret_key", "headers")


def source_of(body: dict[str, Any]) -> Base:
    """The source that a body says. Raises `invalid` with the place."""
    kind = body.get("kind")
    if not isinstance(kind, str) or kind not in MODELS:
        raise invalid(f"There is no kind of source {kind!r}.", place="kind", way_out=f"There are: {', '.join(MODELS)}.")
    model = MODELS[kind]
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise first_fault(error, model) from None


def complete(source: Base) -> AlmanacError | None:
    """Why it cannot be used yet: a webhook without a secret takes no delivery."""
    if isinstance(source, Hook) and len(str(getattr(source, "secret", ""))) < 8:
        return invalid("A webhook needs the secret that its sender signs with, of 8 letters or more.", place="secret")
    return None


def written(source: Base) -> dict[str, Any]:
    """The body as it is kept, without what goes without saying."""
    return {"kind": getattr(source, "kind", ""), **source.model_dump(mode="json", exclude_defaults=True)}


def shown(body: dict[str, Any]) -> dict[str, Any]:
    """The body without its secrets: of each only that it is there, and its last letters when it is long."""
    return {name: _hidden(value) if name in _SECRETS and value else value for name, value in body.items()}


def with_secrets(body: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any]:
    """The body that somebody sends, with those secrets of the one before that he leaves out or sends as they were shown. Secrets never go
    along to another address, where whoever changes it could read them. Raises `invalid`."""
    if before is None or body.get("kind") != before.get("kind"):
        return body
    merged = dict(body)
    moved = any((body.get(name) or None) != (before.get(name) or None) for name in ("endpoint", "urls"))
    for name in _SECRETS:
        said, kept = merged.get(name), before.get(name)
        if not kept:
            continue
        if isinstance(said, dict) and isinstance(kept, dict):
            same = {key for key, value in said.items() if key in kept and value == _hidden(kept[key])}
            merged[name] = {key: kept[key] if key in same else value for key, value in said.items()}
        else:
            same = {name} if said is None or said == _hidden(kept) else set()
            merged[name] = kept if same else said
        if same and moved:
            way_out = "Secrets do not go along to another address."
            raise invalid("The address is another one, so the secrets have to be given again.", place=name, way_out=way_out)
    return merged


def _hidden(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _hidden(part) for name, part in value.items()}
    return _HIDDEN + value[-4:] if isinstance(value, str) and len(value) >= 16 else _HIDDEN


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(f"{url!r} is no address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isascii() or any(letter <= " " for letter in url):
        raise ValueError(f"{url!r} is no address that begins with http:// or https://")
    if parts.username or parts.password:
        raise ValueError("a password does not belong into an address; put it into headers")
    if port == 0:
        raise ValueError(f"{url!r} has no port that can be reached")
    return url
