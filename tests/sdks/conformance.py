"""Runs a vendor's SDK through the same faults as all others, and says what became of each call.

To add an SDK, add two files, and let the run write a third:

1. `drivers/NAME.py`, `.mjs` or `.html`: makes every call that the SDK has, once, then flushes and ends as its documentation says, and lets
   the SDK have up to 20 s for its retries. It gets `HOST` and `KEY` as arguments (a page: as `?host=…&key=…`, and the npm packages under
   `/sdk/`). All calls should go out in as few requests as the SDK allows, so that the outcome is the same in each run. Lines between
   `[snippet]` and `[/snippet]` become the SDK's section of docs/reference/sdks.md; what only the test wants (a timeout of 2 s, say: a slow
   answer takes 5 s) stands there as `**QUICK` or `...QUICK`, and is left out.
2. `known/NAME.yaml`: the members of `Sdk`. `calls` are "KIND NAME" of the events that are to be stored, as often as they are called.
   `drops` says, for a scenario in which the SDK itself gives events up, never sends them, hurts its program or does not let its clock be
   corrected, by which rule of its own.
3. `ALMANAC_CONFORMANCE=keep .venv/bin/pytest tests/sdks/test_conformance.py -k NAME` writes `known/NAME.json`, what was seen; then
   `python -m docs.reference` writes the table. Any later run that sees something else fails.

All scenarios of an SDK run side by side, each under a write key of its own, in which the faults are written (see `server.py`).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import datetime
from importlib.metadata import version as python_version
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import yaml
from tests.sdks.collector import HERE, Server, free_port
from tests.sdks.tabs import NODE_MODULES

from almanac.core.event import Event

KNOWN: Final = HERE / "known"
SKEW_SECONDS: Final = 3600.0


@dataclass(frozen=True)
class Scenario:
    """What happens to the first requests that bring events, one fault each; `skewed`: the sender's clock is an hour fast."""

    words: str
    faults: tuple[str, ...] = ()
    skewed: bool = False


SCENARIOS: Final = {
    "plain": Scenario("nothing goes wrong"),
    "500": Scenario("a proxy answers 500, twice", ("500", "500")),
    "429": Scenario("429 with Retry-After: 1 (503 where the protocol's SDKs need that)", ("429",)),
    "413": Scenario("413", ("413",)),
    "close": Scenario("the connection is closed without an answer, twice", ("close", "close")),
    "slow": Scenario("kept at once, answered 5 s later", ("slow",)),
    "restart": Scenario("kept; the collector is killed before it answers, and is back more than four seconds later", ("die",)),
    "skew": Scenario("the sender's clock is an hour fast", skewed=True),
}


@dataclass(frozen=True)
class Sdk:
    """An SDK and what its driver does; the members of its file in `known/`."""

    name: str  # of the files
    protocol: str  # in which its events are stored
    runs: str  # python, node or browser
    package: str  # in the language's registry
    driver: str  # a file in drivers/
    calls: tuple[str, ...]
    drops: dict[str, str] = field(default_factory=dict)
    besides: tuple[str, ...] = ()  # what it may send by itself, named like `calls`
    environment: dict[str, str] = field(default_factory=dict)  # of the driver's process; more of a page's query
    patience: float = 60.0  # seconds that its slowest scenario may take
    title: str = ""  # in the documents, where the package's name says too little

    @property
    def version(self) -> str:
        """Of the package as it is installed."""
        if self.runs == "python":
            return python_version(self.package)
        return str(json.loads((NODE_MODULES / self.package / "package.json").read_text())["version"])

    def kept(self) -> dict[str, Any] | None:
        """What was seen when somebody last kept it."""
        file = KNOWN / f"{self.name}.json"
        return dict(json.loads(file.read_text())) if file.is_file() else None

    def keep(self, found: dict[str, Any]) -> None:
        """Writes down what was seen."""
        (KNOWN / f"{self.name}.json").write_text(json.dumps(found, indent=1) + "\n")


def sdks() -> list[Sdk]:
    """All that `known/` names."""
    found = []
    for file in sorted(KNOWN.glob("*.yaml")):
        told = yaml.safe_load(file.read_text())
        found.append(Sdk(name=file.stem, **{**told, "calls": tuple(told["calls"])}))
    return found


@dataclass(frozen=True)
class Outcome:
    """What became of the calls of one run.

    `given_up`: refused, and not sent again. `never_sent`: not in any request that was read. `doubled`: stored under another id too.
    `copies`: whether something came twice under the same id (the load counts it once), where it was kept but not answered in time;
    elsewhere that would only say how busy the machine is. `app`: what the program noticed. `late`: stored with a corrected time that is
    still about an hour off."""

    called: int
    stored: int
    given_up: int
    never_sent: int
    doubled: int
    copies: bool
    app: str
    late: int


def conform(
    sdk: Sdk, server: Server, folder: Path, nonce: str, tools: dict[str, Any], kept: dict[str, Any] | None = None
) -> tuple[dict[str, Outcome], list[Event]]:
    """What became of the calls in each scenario, and the events of the plain one.

    `tools`: "node", the program, and "tab", which opens a page (see `tabs`), where the SDK needs them. `kept`: a page is waited for only
    until as many calls are stored as were then."""
    with ExitStack() as stack:
        restarted = stack.enter_context(Server(free_port(), folder / "restart.jsonl").running())
        runs = {}
        for name, scenario in SCENARIOS.items():
            to = restarted if "die" in scenario.faults else server
            key = "-".join(("w", *scenario.faults, nonce + name))
            start = _start_page if sdk.runs == "browser" else _start_program
            runs[name] = (to, key, stack.enter_context(start(sdk, to, key, skewed=scenario.skewed, tools=tools)))
        deadline = time.monotonic() + sdk.patience
        for name, (to, key, run) in runs.items():
            least = kept["scenarios"][name]["stored"] if kept else len(sdk.calls)
            run.finish(lambda to=to, key=key, least=least: _stored(sdk, to, key).total() >= least, deadline)
        found = {name: _outcome(sdk, to, key, run.app(), SCENARIOS[name]) for name, (to, key, run) in runs.items()}
        plain, key, _ = runs["plain"]
        return found, _of(key, plain.lines)


# ------------------------------------------------------------ running


class Program:
    """A driver as a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._errors = ""
        self._ends = True

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def finish(self, settled: Callable[[], bool], deadline: float) -> None:
        """Waits for its end."""
        try:
            self._errors = self._process.communicate(timeout=max(0.1, deadline - time.monotonic()))[0]
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._ends = False

    def app(self) -> str:
        """What the program noticed."""
        code = self._process.wait(10)
        if not self._ends:
            return "does not end"
        if code:
            print(self._errors, file=sys.stderr)  # pytest shows it beside the failure
        return f"exit {code}" if code else "unhurt"


class Tab:
    """A driver as a page. `page` is Playwright's."""

    def __init__(self, page: Any) -> None:
        self._page = page
        self._errors: list[str] = []
        page.on("pageerror", lambda error: self._errors.append(str(error)))

    def __enter__(self) -> Tab:
        return self

    def __exit__(self, *_: object) -> None:
        self._page.context.close()

    def finish(self, settled: Callable[[], bool], deadline: float) -> None:
        """Waits until all is stored that will be, and a moment more for what should not come."""
        while time.monotonic() < deadline and not settled():
            self._page.wait_for_timeout(100)
        self._page.wait_for_timeout(1000)

    def app(self) -> str:
        """What the page noticed."""
        for error in self._errors:
            print(error, file=sys.stderr)
        return "uncaught error" if self._errors else "unhurt"


def _start_program(sdk: Sdk, server: Server, key: str, *, skewed: bool, tools: dict[str, Any]) -> Program:
    driver = str(HERE / "drivers" / sdk.driver)
    if sdk.runs == "python":
        command = [sys.executable, *([str(HERE / "skewed.py")] if skewed else []), driver]
    else:
        command = [tools["node"], *(["--import", str(HERE / "skewed.mjs")] if skewed else []), driver]
    return Program(
        subprocess.Popen(
            [*command, server.url, key],
            cwd=HERE,
            env={**os.environ, **sdk.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    )


def _start_page(sdk: Sdk, server: Server, key: str, *, skewed: bool, tools: dict[str, Any]) -> Tab:
    query = urlencode({"host": server.url, "key": key, **sdk.environment})
    return Tab(tools["tab"](f"{sdk.driver}?{query}", skewed=skewed))


# ------------------------------------------------------------ looking


def label(event: Event) -> str:
    """How `Sdk.calls` names it."""
    return f"{event.kind} {event.name}"


def _of(key: str, events: list[Event]) -> list[Event]:
    return [event for event in events if event.project == key]


def _once(events: list[Event]) -> list[Event]:
    return list({event.event_id: event for event in events}.values())


def _stored(sdk: Sdk, server: Server, key: str) -> Counter[str]:
    return Counter(sdk.calls) & Counter(label(event) for event in _once(_of(key, server.lines)))


def _outcome(sdk: Sdk, server: Server, key: str, app: str, scenario: Scenario) -> Outcome:
    lines = _of(key, server.lines)
    events = _once(lines)
    assert [(event.name, bytes(event.rest)) for event in events if event.kind == "dead_letter"] == [], "a dead letter: our loss"
    assert {event.protocol for event in events} <= {sdk.protocol}
    called, stored = Counter(sdk.calls), Counter(label(event) for event in events)
    missing = called - stored
    ids = {event.event_id for event in events}
    refused = Counter(
        label(event) for event in _once([event for _, event in server.refused if event.project == key]) if event.event_id not in ids
    )
    given_up = missing & refused
    return Outcome(
        called=called.total(),
        stored=_stored(sdk, server, key).total(),
        given_up=given_up.total(),
        never_sent=(missing - given_up).total(),
        doubled=Counter({name: count - called[name] for name, count in stored.items() if count > called[name] > 0}).total(),
        copies=len(events) < len(lines) and bool({"slow", "die"} & set(scenario.faults)),
        app=app,
        late=sum(abs(abs(_error(event)) - SKEW_SECONDS) < 600 for event in events if label(event) in called),
    )


def _error(event: Event) -> float:
    """Seconds between an event's receipt and its time as the load will have it, if it was called just before it was sent."""
    if not event.client_time:
        return 0.0
    received = event.received_us / 1e6
    told = _seconds(event.client_time)
    if event.sent_time and not event.keep_time:
        told += received - _seconds(event.sent_time)
    return told - received


def _seconds(text: str) -> float:
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text)).timestamp()


def as_json(sdk: Sdk, found: dict[str, Outcome]) -> dict[str, Any]:
    """What is kept of a run."""
    return {"version": sdk.version, "scenarios": {name: asdict(outcome) for name, outcome in found.items()}}
