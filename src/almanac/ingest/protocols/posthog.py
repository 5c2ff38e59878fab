"""PostHog: events of versions 0 and 1, session recordings, LLM events, and what its SDKs ask for besides.

Version 0 posts `{"api_key", "batch": [event …], "sent_at", "historical_migration"}`, a bare event or a bare list, to `/batch`, `/e`,
`/i/v0/e`, `/capture`, `/s` or `/i/v0/ai/batch`; version 1 posts `{"created_at", "batch"}` to `/i/v1/analytics/events` with the key as
bearer token and reads a result for each event. Flags, surveys and experiments are answered as "there are none". The browser SDK and its
extensions are served from `files/posthog-js/` of the data folder, when somebody puts them there.
"""

from __future__ import annotations

import re
import uuid
from typing import Any, Final

import msgspec

from almanac.core.errors import AlmanacError, not_found
from almanac.core.event import Event
from almanac.ingest import messages as reading
from almanac.ingest.answers import SUCCESS, Answer, as_json, failure
from almanac.ingest.call import Call, Protocol, Route
from almanac.ingest.messages import NONE, Fields
from almanac.ingest.protocols.posthog_event import ITEM, Builder, Envelope, Item

_SCRIPT: Final = re.compile(
    r"(all-external-dependencies|array|conversations|crisp-chat|customizations|dead-clicks|default-extensions|element-inference|"
    r"exception-autocapture|extension-bundles|external-scripts|intercom|lazy-recorder|logs|posthog-recorder|product-tours|recorder|rrweb|"
    r"surveys?|toolbar|tracing-headers|web-vitals)[A-Za-z0-9._-]*\.js"
)


class Body(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A request of version 0 or 1."""

    batch: list[Item]
    api_key: str | None = None
    token: str | None = None
    sent_at: str | None = None
    created_at: str | None = None
    historical_migration: bool | None = None


_BODY: Final = msgspec.json.Decoder(Body)


def take(call: Call) -> Answer:
    """Events of version 0."""
    return _take(call, {})


def take_v1(call: Call) -> Answer:
    """Events of version 1, whose SDKs want to know what became of each."""
    sent: dict[int, str] = {}
    _take(call, sent)
    rejected = {rejection.index: f"{rejection.reason}: {rejection.detail}" for rejection in call.rejected}
    results = {
        uuid_: {"result": "drop", "details": rejected[index]} if index in rejected else {"result": "ok"}
        for index, uuid_ in sent.items()
        if uuid_
    }
    more = {"rejected": call.rejected} if call.rejected else {}
    return as_json({**SUCCESS, "results": results, **more})


def _take(call: Call, sent: dict[int, str]) -> Answer:
    """Fills `call` with events, and `sent` with the ids that they came with, by their place."""
    try:
        body = _BODY.decode(call.json)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _take_odd(call, sent)
    if not reading.all_small(call):
        return _take_odd(call, sent)
    first = body.batch[0] if body.batch else Item()
    within = reading.fields_of(first.properties) or {} if not (call.bearer or body.api_key or body.token) else {}
    _admit(call, body.api_key or body.token, first.api_key or first.token, reading.text_of(within.get("token")))
    sent.update((index, item.uuid or "") for index, item in enumerate(body.batch))
    return reading.strictly(call, body.batch, Builder(call, _around(call, body.sent_at, historical=bool(body.historical_migration))))


def _take_odd(call: Call, sent: dict[int, str]) -> Answer:
    """The same for bodies in any other form: a bare event, a bare list, undocumented members, odd types."""
    members, items = reading.envelope(call)
    first = reading.fields_of(items[0]) or {} if items else {}
    within = reading.fields_of(first.get("properties", NONE)) or {}
    _admit(call, *(reading.text_of(place.get(name)) for place in (members, first, within) for name in ("api_key", "token")))
    historical = reading.true_of(members.get("historical_migration"))
    build = Builder(call, _around(call, reading.text_of(members.get("sent_at")), historical=historical))

    def one(index: int, item: Item, unknown: Fields) -> Event:
        sent[index] = item.uuid or ""
        return build(index, item, unknown)

    return reading.tolerantly(call, items, ITEM, one)


def _admit(call: Call, *in_body: str | None) -> None:
    call.admit(call.bearer, *in_body, call.query.get("token"), call.query.get("api_key"), call.basic_user)


def _around(call: Call, sent: str | None, *, historical: bool) -> Envelope:
    library, _, version = call.header(b"posthog-sdk-info").partition("/")
    return Envelope(
        sent=reading.instant(sent or call.header(b"posthog-request-timestamp") or call.query.get("_", "")),
        historical=historical,
        library=library,
        library_version=version,
    )


# ------------------------------------------------- what is asked besides


def _config(call: Call) -> dict[str, Any]:
    return {
        "token": call.params["key"],
        "supportedCompression": ["gzip", "gzip-js"],
        "analytics": {"endpoint": "/i/v0/e/"},
        "elementsChainAsString": True,
        "defaultIdentifiedOnly": True,
        "hasFeatureFlags": False,
        "sessionRecording": False,
        "surveys": False,
        "heatmaps": False,
        "captureDeadClicks": False,
        "capturePerformance": False,
        "autocaptureExceptions": False,
        "autocapture_opt_out": False,
        "productTours": False,
        "siteApps": [],
        "isAuthenticated": False,
        "toolbarParams": {},
    }


def config(call: Call) -> Answer:
    """`/array/KEY/config`: how the browser SDK is to behave."""
    call.admit(call.params["key"])
    return as_json(_config(call))


def config_script(call: Call) -> Answer:
    """`/array/KEY/config.js`: the same as a script."""
    call.admit(call.params["key"])
    key = _script_safe(call.params["key"])
    script = b"(function(){var c=window._POSTHOG_REMOTE_CONFIG=window._POSTHOG_REMOTE_CONFIG||{};c[%b]={config:%b,siteApps:[]}})();"
    return Answer(body=script % (key, _script_safe(_config(call))), content_type=b"application/javascript")


def _script_safe(value: Any) -> bytes:
    """JSON that cannot end a script element."""
    return msgspec.json.encode(value).replace(b"<", b"\\u003c").replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")


def flags(call: Call) -> Answer:
    """`/flags`: there are none."""
    none = {"flags": {}, "featureFlags": {}, "featureFlagPayloads": {}, "errorsWhileComputingFlags": False, "requestId": str(uuid.uuid4())}
    return as_json({**none, "supportedCompression": ["gzip", "gzip-js"], "sessionRecording": False, "surveys": False, "siteApps": []})


def definitions(call: Call) -> Answer:
    """`/flags/definitions`, for SDKs that evaluate flags themselves: there are none."""
    return as_json({"flags": [], "group_type_mapping": {}, "cohorts": {}})


def nothing(call: Call) -> Answer:
    """Surveys, experiments, early access features, a flag's remote configuration: there are none."""
    word = call.path.rstrip("/").rpartition("/")[2]
    return as_json(
        {"surveys": {"surveys": []}, "web_experiments": {"experiments": []}, "early_access_features": {"earlyAccessFeatures": []}}.get(
            word, {}
        )
    )


def script(call: Call) -> Answer:
    """`/static/array.js` and the SDK's extensions. Raises `not_found` unless the file was put there."""
    name = call.path.rstrip("/").rpartition("/")[2]
    path = call.settings.data / "files" / "posthog-js" / name
    if not path.is_file():
        raise not_found(
            f"There is no script {name}.", way_out="Copy dist/*.js of the npm package posthog-js to files/posthog-js/ of the data folder."
        )
    return Answer(body=path.read_bytes(), content_type=b"application/javascript", headers=((b"cache-control", b"public, max-age=3600"),))


def _is_script(call: Call) -> bool:
    return _SCRIPT.fullmatch(call.path.rpartition("/")[2]) is not None


def _is_posthogs(call: Call) -> bool:
    return "mp_lib" not in call.query


def refuse(call: Call, error: AlmanacError) -> Answer:
    """The browser SDK throws a batch away after any 4xx, so it gets 503 where others get 429."""
    return failure(error, status=503 if error.status == 429 and call.from_browser else None)


PROTOCOL: Final = Protocol(
    "posthog",
    (
        *(Route("POST", path, take) for path in ("/batch", "/e", "/i/v0/e", "/capture", "/s", "/i/v0/ai/batch")),
        *(Route("GET", path, take, when=lambda call: "data" in call.query) for path in ("/e", "/i/v0/e", "/capture")),
        Route("POST", "/i/v1/analytics/events", take_v1),
        Route("POST", "/flags", flags),
        Route("POST", "/decide", flags),
        Route("GET", "/flags/definitions", definitions, when=_is_posthogs),
        Route("GET", "/api/feature_flag/local_evaluation", definitions),
        Route("GET", "/api/projects/@current/feature_flags/{flag}/remote_config", nothing),
        Route("GET", "/api/surveys", nothing),
        Route("GET", "/api/web_experiments", nothing),
        Route("GET", "/api/early_access_features", nothing),
        Route("GET", "/array/{key}/config.js", config_script),
        Route("GET", "/array/{key}/config", config),
        Route("GET", "/static/{file}", script, when=_is_script),
        Route("GET", "/static/{version}/{file}", script, when=_is_script),
    ),
    refuse,
    replay=("/batch", b'{"batch":[', b"]}"),
)
