"""Every SDK of `known/` under every fault: nothing is lost here, nothing is doubled, and all is as it was when it was last kept."""

from __future__ import annotations

import itertools
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.sdks.collector import Server, free_port
from tests.sdks.conformance import KNOWN, NODE_MODULES, SCENARIOS, Sdk, as_json, conform, label, sdks
from tests.sdks.tabs import tabs

KEEP = os.environ.get("ALMANAC_CONFORMANCE") == "keep"
MARKS = {"python": [], "node": [pytest.mark.node], "browser": [pytest.mark.node, pytest.mark.browser]}
NONCES = itertools.count(time.time_ns() % 1_000_000)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One collector for all SDKs and faults but the one that kills it."""
    with Server(free_port(), tmp_path_factory.mktemp("collector") / "log.jsonl").running() as server:
        yield server


@pytest.fixture
def tools(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """What the SDK's language needs: the program node, or a way to open tabs."""
    runs = request.getfixturevalue("sdk").runs
    with ExitStack() as stack:
        found: dict[str, Any] = {}
        if runs != "python" and not NODE_MODULES.is_dir():
            pytest.skip("the SDKs are not installed: npm ci in tests/sdks")
        if runs == "node":
            found["node"] = shutil.which("node") or pytest.skip("node is not installed")
        elif runs == "browser":
            found["tab"] = stack.enter_context(tabs())
        yield found


@pytest.mark.parametrize("sdk", [pytest.param(sdk, id=sdk.name, marks=MARKS[sdk.runs]) for sdk in sdks()])
def test_conforms(sdk: Sdk, shared: Server, tools: dict[str, Any], tmp_path: Path) -> None:
    nonce = f"{next(NONCES):x}"
    found, plain = conform(sdk, shared, tmp_path, nonce, tools, None if KEEP else sdk.kept())
    assert found.keys() == SCENARIOS.keys()
    assert sorted({label(event) for event in plain} - {*sdk.calls, *sdk.besides}) == [], "stored, but not called"
    for name, outcome in found.items():
        assert outcome.doubled == 0, (name, outcome)
        lost = outcome.given_up + outcome.never_sent
        assert outcome.stored + lost == outcome.called, (name, outcome)
        assert (lost > 0 or outcome.app != "unhurt" or outcome.late > 0) == (name in sdk.drops), (name, outcome)
    seen = as_json(sdk, found)
    if KEEP:
        sdk.keep(seen)
    kept = sdk.kept() or {"version": "", "scenarios": {}}
    differing = {
        name: (told, kept["scenarios"].get(name)) for name, told in seen["scenarios"].items() if told != kept["scenarios"].get(name)
    }
    assert differing == {}, (
        "It differs from what was kept (second). If it is right: ALMANAC_CONFORMANCE=keep, then python -m docs.reference."
    )
    assert seen["version"] == kept["version"]


def test_what_is_kept_is_of_known_sdks() -> None:
    assert {file.stem for file in KNOWN.glob("*.json")} == {sdk.name for sdk in sdks()}
