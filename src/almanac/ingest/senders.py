"""Who is sending: the address behind a proxy, and whether it is a server, whose address says nothing about the person."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Final

# How programs that run on servers introduce themselves; phones (okhttp, CFNetwork, Dart) and browsers do not.
_SERVER_AGENT: Final = re.compile(
    r"(?i)(python|analytics-|posthog-(?!ios|android|react|flutter)|rudder|segment|node|axios|undici|got |bun|deno|go-http|curl|wget|java/|"
    r"apache-http|jakarta|ruby|faraday|rest-client|php|guzzle|symfony|libwww|perl|aiohttp|httpx|requests|restsharp|\.net|reqwest|hyper|ureq|elixir|hackney|finch|"
    r"snowplow|matomo|amplitude|mixpanel|opentelemetry|otel|postman|insomnia|k6|vector|fluent|benthos)"
)
_SERVER_LIBRARY: Final = re.compile(
    r"(?i)(@segment/analytics-node|(analytics|posthog|rudder|rudder-sdk|rudderanalytics|amplitude|mixpanel|snowplow)-(?:sdk-)?"
    r"(python|node|node-next|ruby|java|go|php|rust|rs|dotnet|net|elixir|clj|perl)|posthog-server|py-|java-server|rudder-analytics-python)"
)

_PRIVATE: Final = tuple(
    ip_network(text)
    for text in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "100.64.0.0/10",
        "::1",
        "fc00::/7",
        "fe80::/10",
    )
)


@lru_cache(maxsize=4096)
def is_server_agent(user_agent: str) -> bool:
    """Whether a request with this User-Agent comes from a server. One without any comes from a program too."""
    return not user_agent or _SERVER_AGENT.match(user_agent) is not None


@lru_cache(maxsize=4096)
def is_server_library(name: str) -> bool:
    """Whether the SDK of this name runs on servers."""
    return _SERVER_LIBRARY.match(name) is not None


@lru_cache(maxsize=4096)
def address(peer: str, forwarded_for: str) -> str:
    """The sender's address. What a proxy says is believed only when the connection comes from a private address, and then the last public
    address counts, because anybody can write the ones before it."""
    if not forwarded_for or not _is_private(peer):
        return peer
    hops = [hop for hop in (_without_port(part.strip()) for part in forwarded_for.split(",")) if _valid(hop)]
    public = [hop for hop in hops if not _is_private(hop)]
    return public[-1] if public else (hops[0] if hops else peer)


def _without_port(hop: str) -> str:
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _valid(hop: str) -> bool:
    try:
        ip_address(hop)
    except ValueError:
        return False
    return True


def _is_private(text: str) -> bool:
    try:
        found = ip_address(text)
    except ValueError:
        return True  # a socket of this host has no address
    return any(found in network for network in _PRIVATE)
