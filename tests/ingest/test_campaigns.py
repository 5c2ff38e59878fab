"""A campaign reaches its columns from the address, and from what the sender says where the address is silent."""

from __future__ import annotations

import json

import msgspec
from tests.ingest.conftest import Bench

from almanac.core.event import LINE_ENCODER
from almanac.ingest import exported, exporting

COLUMNS = "id_text, utm_source, utm_medium, utm_campaign, utm_term, utm_content, channel"
NAMED = json.dumps({"source": "newsletter", "medium": "email", "campaign": 'früh"jahr', "term": "t", "content": "c"})


def stored(bench: Bench) -> dict[str, tuple[object, ...]]:
    rows = bench.rows(f"SELECT {COLUMNS} FROM events WHERE project = '{bench.project}'")
    return {str(row["id_text"]): tuple(list(row.values())[1:]) for row in rows}


def test_the_address_counts_and_the_sender_fills_in(bench: Bench) -> None:
    bench.load(
        bench.event("plain"),
        bench.event("named", campaign=NAMED),
        bench.event("both", campaign=NAMED, url="https://x.example/?utm_source=google&utm_medium=cpc"),
        bench.event("no web address", campaign=NAMED, url="app://home?utm_source=google"),
        bench.event("partly", campaign='{"source":"google"}'),
        bench.event("not of ours", campaign="spring"),
    )
    assert stored(bench) == {
        "plain": ("", "", "", "", "", "Direct"),
        "named": ("newsletter", "email", 'früh"jahr', "t", "c", "Email"),
        "both": ("google", "cpc", 'früh"jahr', "t", "c", "Paid Search"),
        "no web address": ("newsletter", "email", 'früh"jahr', "t", "c", "Email"),
        "partly": ("google", "", "", "", "", "Organic Search"),
        "not of ours": ("", "", "", "", "", "Direct"),
    }


def test_lines_of_before_campaigns_load_as_ever(bench: Bench) -> None:
    old = msgspec.json.encode(msgspec.json.decode(LINE_ENCODER.encode(bench.event("old", properties={"n": 1.5})))[:-1])
    bench.load(bench.event("new", campaign=NAMED), old)
    assert {name: row[0] for name, row in stored(bench).items()} == {"old": "", "new": "newsletter"}
    assert bench.letters() == []


def test_an_export_brings_campaigns_back(bench: Bench) -> None:
    bench.load(
        bench.event("named", campaign=NAMED),
        bench.event("both", campaign=NAMED, url="https://x.example/?utm_source=google&utm_medium=cpc"),
        bench.event("address", url="https://x.example/?utm_source=google&utm_medium=cpc"),
    )
    before = stored(bench)
    lines = b"".join(exporting.encoded(exporting.lines(bench.store, exporting.Selection(bench.project)), "ndjson")).splitlines()
    told = {line["event_id"]: json.loads(line.get("campaign", "null")) for line in map(json.loads, lines)}
    whole = json.loads(NAMED)
    assert told == {"named": whole, "both": {name: whole[name] for name in ("campaign", "term", "content")}, "address": None}
    bench.project += "-again"
    bench.load(*(exported.event_of(line, bench.project) for line in lines))
    assert stored(bench) == before
