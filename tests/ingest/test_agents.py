"""What user agents say."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from almanac.ingest.agents import Agent, agent_of

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.5 Mobile/15E148 Safari/604.1"
)
IPAD = "Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
PIXEL = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15"
CUBOT = "Mozilla/5.0 (Linux; Android 9; CUBOT X19) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CHROME, Agent("Chrome", "126", "Windows", "10", "Desktop")),
        (IPHONE, Agent("Mobile Safari", "17", "iOS", "17.5", "Mobile")),
        (IPAD, Agent("Mobile Safari", "17", "iOS", "17.5", "Tablet")),
        (PIXEL, Agent("Chrome Mobile", "126", "Android", "14", "Mobile")),
        (MAC, Agent("Safari", "17", "Mac OS X", "10.15", "Desktop")),
        (CUBOT, Agent("Chrome Mobile", "120", "Android", "9", "Mobile")),
        ("", Agent()),
        ("nothing that anybody knows", Agent()),
    ],
)
def test_parts_of_a_user_agent(text: str, expected: Agent) -> None:
    assert agent_of(text) == expected


@pytest.mark.parametrize(
    "text", ["Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "curl/8.5.0", "python-requests/2.32.0"]
)
def test_crawlers_and_scripts_are_bots(text: str) -> None:
    agent = agent_of(text)
    assert agent.is_bot
    assert agent.device == "Bot"


def test_families_are_those_of_the_rules_own_tests() -> None:
    """The user agents that ua-parser's rules are tested with: browser and major version."""
    file = DATA / "uap_core" / "test_ua.yaml"
    if not file.exists():
        pytest.skip("the folder of public data is not beside this checkout")
    cases = yaml.load(file.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["test_cases"]
    wrong: list[tuple[str, str, Any]] = []
    for case in cases:
        agent = agent_of(case["user_agent_string"])
        expected = ("" if case["family"] == "Other" else case["family"], case["major"] or "")
        if (agent.browser, agent.browser_version) != expected:
            wrong.append((case["user_agent_string"], str(expected), agent))
    print(f"{len(cases) - len(wrong)} of {len(cases)} agree; first that differ: {wrong[:5]}")
    assert len(cases) >= 800
    assert len(wrong) <= len(cases) // 100  # the rules that are installed may be a little older than these tests


def test_most_known_crawlers_are_marked() -> None:
    file = DATA / "crawler_user_agents" / "crawler-user-agents.json"
    if not file.exists():
        pytest.skip("the folder of public data is not beside this checkout")
    instances = [(entry["pattern"], text) for entry in json.loads(file.read_text()) for text in entry["instances"]]
    missed = [pattern for pattern, text in instances if not agent_of(text).is_bot]
    share = 1 - len(missed) / len(instances)
    print(f"{share:.1%} of {len(instances)} crawlers are marked; most missed: {Counter(missed).most_common(25)}")
    assert share >= 0.80


def test_browsers_of_people_are_not_bots() -> None:
    """A false bot takes a person out of every question."""
    file = DATA / "uap_core" / "firefox_user_agent_strings.yaml"
    if not file.exists():
        pytest.skip("the folder of public data is not beside this checkout")
    cases = yaml.safe_load(file.read_text())["test_cases"]
    assert [case["user_agent_string"] for case in cases if agent_of(case["user_agent_string"]).is_bot] == []
