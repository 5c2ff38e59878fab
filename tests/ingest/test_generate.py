"""The made-up life: the same to the letter each time, and its planted truth is what a plain reckoning of its messages finds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from almanac.core.analysis import analysis_of, registry
from almanac.core.errors import AlmanacError
from almanac.ingest.generate import messages, regulars, truth
from almanac.ingest.generate_pack import Generator, load_pack
from almanac.ingest.generate_shares import apportion, reached, rounded

NOW = datetime(2026, 3, 18, 15, 30, tzinfo=UTC)  # a Wednesday
SHOP = load_pack("shop").generator
PACKS = sorted(path.stem for path in (Path(__file__).parents[2] / "src/almanac/packs").glob("*.yaml"))

Message = Mapping[str, Any]


# ------------------------------------------------------- a reckoning of its own


class Reckoning:
    """What the messages say, found without the generator: people by their ids, funnels step by step, weeks by the calendar."""

    def __init__(self, pack: Generator, sent: Iterable[Message]) -> None:
        self.sent = sorted(sent, key=lambda message: message["timestamp"])
        self._same: dict[str, str] = {}
        for message in self.sent:
            if message["type"] == "identify":
                self._join(message["anonymousId"], message["userId"])
        self.steps = pack.journey.steps
        self.of_people: dict[str, list[Message]] = defaultdict(list)
        self.bots: set[str] = set()
        for message in self.sent:
            person = self._person(message.get("userId") or message["anonymousId"])
            if "bot" in message["context"]["userAgent"].lower():
                self.bots.add(person)
            else:
                self.of_people[person].append(message)

    def _person(self, one: str) -> str:
        while one in self._same:
            one = self._same[one]
        return one

    def _join(self, one: str, other: str) -> None:
        one, other = self._person(one), self._person(other)
        if one != other:
            self._same[one] = other

    def furthest(self, person: str) -> int:
        """How many steps the person does in their order within 14 days, at best."""
        done = [(moment(message), name(message)) for message in self.of_people[person] if name(message) in self.steps]
        best = 0
        for place, (start, first) in enumerate(done):
            if first != self.steps[0]:
                continue
            count = 1
            for when, step in done[place + 1 :]:
                if count < len(self.steps) and step == self.steps[count] and when - start <= timedelta(days=14):
                    count += 1
            best = max(best, count)
        return best

    def funnel(self, people: Iterable[str]) -> list[int]:
        reached = Counter(self.furthest(person) for person in people)
        return [sum(count for got, count in reached.items() if got > step) for step in range(len(self.steps))]

    def funnels(self, of: Any) -> dict[str, list[int]]:
        """By a word about what first brought them."""
        groups: dict[str, list[str]] = defaultdict(list)
        for person, theirs in self.of_people.items():
            page = theirs[0]["context"]["page"]
            groups[of(page["url"], page["referrer"])].append(person)
        return {key: self.funnel(group) for key, group in sorted(groups.items())}

    def retention(self, last: date) -> dict[str, list[int]]:
        weeks = {person: {monday(moment(message).date()) for message in theirs} for person, theirs in self.of_people.items()}
        cohorts: dict[date, list[set[date]]] = defaultdict(list)
        for theirs in weeks.values():
            cohorts[min(theirs)].append(theirs)
        return {
            first.isoformat(): [
                sum(first + timedelta(weeks=k) in theirs for theirs in cohort) for k in range((monday(last) - first).days // 7 + 1)
            ]
            for first, cohort in sorted(cohorts.items())
        }

    def visitors_per_day(self) -> dict[str, int]:
        days = Counter(day for theirs in self.of_people.values() for day in {message["timestamp"][:10] for message in theirs})
        return dict(sorted(days.items()))

    def sessions(self) -> int:
        """Thirty minutes without an event end a session."""
        count = 0
        by_person: dict[str, list[datetime]] = defaultdict(list)
        for message in self.sent:
            by_person[self._person(message.get("userId") or message["anonymousId"])].append(moment(message))
        for moments in by_person.values():
            count += 1 + sum(later - earlier >= timedelta(minutes=30) for earlier, later in pairwise(moments))
        return count

    def totals(self, event: str, of: str, by: str) -> dict[str, float]:
        sums: dict[str, float] = {}
        for message in self.sent:
            if name(message) == event:
                key = message["properties"][by]
                sums[key] = round(sums.get(key, 0) + message["properties"][of], 2)
        return sums


def name(message: Message) -> str:
    return str(message.get("event") or message.get("name") or message["type"])


def moment(message: Message) -> datetime:
    return datetime.fromisoformat(message["timestamp"])


def monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def campaign(url: str, referrer: str) -> str:
    return url.rpartition("utm_campaign=")[2] if "utm_campaign=" in url else ""


def channel(url: str, referrer: str) -> str:
    """By the first marks of a visit, as an analyst would sort them."""
    if "utm_medium=paid_social" in url:
        return "Paid Social"
    if "utm_medium=cpc" in url:
        return "Paid Search"
    if "utm_medium=email" in url:
        return "Email"
    hosts = {
        "Organic Search": ("google.", "bing.", "duckduckgo."),
        "Organic Social": ("instagram.", "facebook."),
        "AI Assistants": ("chatgpt.", "perplexity."),
    }
    return next((word for word, known in hosts.items() if any(host in referrer for host in known)), "Referral" if referrer else "Direct")


def agree(pack: Generator, sent: list[Message], planted: Mapping[str, Any], now: datetime) -> None:
    found = Reckoning(pack, sent)
    assert len(sent) == planted["events"] == sum(planted["events_by_name"].values())
    assert len({message["messageId"] for message in sent}) == len(sent)
    assert dict(Counter(name(message) for message in sent)) == planted["events_by_name"]
    first = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=pack.days)
    assert all(first <= moment(message) < now for message in sent)
    assert len(found.of_people) == planted["visitors"]
    assert len(found.bots) == planted["bots"]
    assert found.funnel(found.of_people) == planted["funnel"]
    assert found.retention(now.date()) == planted["retention"]
    assert found.visitors_per_day() == planted["visitors_per_day"]
    assert found.sessions() == planted["sessions"] == len({message["context"]["sessionId"] for message in sent})
    identified = [message for message in sent if message["type"] == "identify"]
    assert len(identified) == planted["accounts"] + planted["other_devices"]
    assert len({message["userId"] for message in identified}) == planted["accounts"]
    assert dict(Counter(message["groupId"] for message in sent if message["type"] == "group")) == planted["groups"]
    assert found.funnels(campaign) == planted["funnel_by_campaign"]
    assert found.funnels(channel) == planted["funnel_by_channel"]
    assert found.totals("purchase", "revenue", "currency") == planted["totals"]["purchase"]


# ---------------------------------------------------------------------- the law


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    events=st.integers(100, 1500),
    now=st.datetimes(datetime(2024, 1, 1), datetime(2027, 12, 31)).map(lambda at: at.replace(tzinfo=UTC)),
)
def test_the_planted_truth_is_what_its_messages_say(seed: int, events: int, now: datetime) -> None:
    sent = list(messages(SHOP, seed=seed, now=now, events=events))
    agree(SHOP, sent, truth(SHOP, seed=seed, now=now, events=events), now)


def test_a_whole_life_says_what_was_planted() -> None:
    sent = list(messages(SHOP, seed=1, now=NOW, events=30_000))
    agree(SHOP, sent, truth(SHOP, seed=1, now=NOW, events=30_000), NOW)


@given(
    total=st.integers(0, 10_000), weights=st.lists(st.floats(0, 100), min_size=1, max_size=20).filter(lambda weights: sum(weights) > 0.01)
)
def test_a_split_by_weights_adds_up_and_is_off_by_less_than_one(total: int, weights: list[float]) -> None:
    counts = apportion(total, weights)
    assert sum(counts) == total
    assert all(abs(count - total * weight / sum(weights)) < 1 + 1e-6 for count, weight in zip(counts, weights, strict=True))


# -------------------------------------------------------------------- by hand


def test_rates_hold_for_exactly_as_many_people_as_they_say() -> None:
    """10 000 events at 10 a visitor are 1000 visitors, 120 of them by the campaign.

    The campaign: 120 · 0.7 = 84, · 0.5 = 42, · 0.62 = 26.04, 26 · 0.78 = 20.28. All others: 880 · 0.62 = 545.6, 546 · 0.36 = 196.56,
    197 · 0.55 = 108.35, 108 · 0.7 = 75.6.
    """
    planted = truth(SHOP, seed=5, now=NOW, events=10_000)
    assert planted["visitors"] == 1000
    assert planted["funnel_by_campaign"] == {"": [880, 546, 197, 108, 76], "spring_sale": [120, 84, 42, 26, 20]}
    assert planted["funnel"] == [1000, 630, 239, 134, 96]
    assert planted["bots"] == 15
    assert planted["people"]["plan"] == {"free": 700, "plus": 220, "pro": 80}


def test_each_weekly_cohort_comes_back_by_its_shares() -> None:
    """NOW is a Wednesday 15:30, so that its week is there by 2 + 15.5 / 24 days of 7; all weeks before it are whole."""
    planted = truth(SHOP, seed=2, now=NOW, events=20_000)
    this_week = date(2026, 3, 16)
    assert next(iter(planted["retention"])) == "2025-12-15"
    for first, (size, *back) in planted["retention"].items():
        for week, count in enumerate(back, 1):
            share = SHOP.visitors.returning[min(week, 13) - 1]
            is_this_week = date.fromisoformat(first) + timedelta(weeks=week) == this_week
            assert count == rounded(size * share * ((2 + 15.5 / 24) / 7 if is_this_week else 1))


def test_halves_are_rounded_up_whatever_floats_make_of_them() -> None:
    assert [rounded(0.5), rounded(1.4999), rounded(0.29 * 100), rounded(1.005 * 1000)] == [1, 1, 29, 1005]
    assert reached(1000, [0.5, 0.25, 0.1]) == [1000, 500, 125, 13]
    assert apportion(10, [1, 1, 1]) == [4, 3, 3]


# ------------------------------------------------------------------- the letter


def test_the_same_arguments_give_the_same_life_to_the_letter() -> None:
    one = list(messages(SHOP, seed=3, now=NOW, events=800))
    assert one == list(messages(SHOP, seed=3, now=NOW, events=800))
    other = list(messages(SHOP, seed=4, now=NOW, events=800))
    assert not {message["messageId"] for message in one} & {message["messageId"] for message in other}


def test_a_later_now_keeps_the_message_ids() -> None:
    """So a demo that is sent again counts once."""
    one = [message["messageId"] for message in messages(SHOP, seed=3, now=NOW, events=800)]
    assert one == [message["messageId"] for message in messages(SHOP, seed=3, now=NOW + timedelta(days=2), events=800)]


def test_regulars_are_other_people_who_come_again_and_again() -> None:
    past = ids(messages(SHOP, seed=3, now=NOW, events=4000))
    turns = [ids(message for visit in regulars(SHOP, seed=3, now=NOW, events=4000, turn=turn) for message in visit) for turn in (1, 2, 3)]
    for turn in turns:
        assert all(not turn[kind] & past[kind] for kind in past)
        assert all(turn[kind] for kind in past), "nothing is left out"
    first, second, third = turns
    for kind in ("message", "session", "order"):
        assert not first[kind] & second[kind]
        assert not second[kind] & third[kind]
    assert second["device"] == third["device"]
    assert second["device"] < first["device"], "who logs in on another device did so once"
    assert second["user"] == third["user"] <= first["user"]
    again = [message["type"] for visit in regulars(SHOP, seed=3, now=NOW, events=4000, turn=2) for message in visit]
    assert set(again) == {"page", "track"}, "nobody signs up twice"


def ids(sent: Iterable[Message]) -> dict[str, set[str]]:
    """All ids of these messages, by what they name."""
    found: dict[str, set[str]] = defaultdict(set)
    for message in sent:
        found["message"].add(message["messageId"])
        found["session"].add(message["context"]["sessionId"])
        found["device"].add(message["anonymousId"])
        if "userId" in message:
            found["user"].add(message["userId"])
        if name(message) == "purchase":
            found["order"].add(message["properties"]["order_id"])
    return found


def test_a_visitor_is_anonymous_until_signing_up() -> None:
    sent = list(messages(SHOP, seed=3, now=NOW, events=2000))
    user = next(message for message in sent if message["type"] == "identify")
    theirs = [message for message in sent if message["context"]["sessionId"] == user["context"]["sessionId"]]
    place = theirs.index(user)
    assert name(theirs[place - 1]) == "sign_up"
    assert [message.get("userId") for message in theirs] == [None] * place + [user["userId"]] * (len(theirs) - place)
    assert {message["anonymousId"] for message in theirs} == {user["anonymousId"]}
    assert user["traits"]["email"] == f"{user['userId']}@mail.example"


def test_pages_of_a_session_lead_to_each_other() -> None:
    sessions: dict[str, list[Message]] = defaultdict(list)
    for message in messages(SHOP, seed=3, now=NOW, events=2000):
        sessions[message["context"]["sessionId"]].append(message)
    for theirs in sessions.values():
        pages = [message["context"]["page"] for message in theirs]
        assert all(later["referrer"] == earlier["url"] for earlier, later in pairwise(pages) if later is not earlier)
        assert all("utm_" not in page["url"] for page in pages if page is not pages[0] and page["referrer"].startswith(SHOP.site))


# -------------------------------------------------------------------- packs


@pytest.mark.parametrize("pack", PACKS)
def test_a_shipped_pack_is_valid_and_asks_valid_questions(pack: str) -> None:
    loaded = load_pack(pack)
    assert len(list(messages(loaded.generator, seed=1, now=NOW, events=500))) == 500
    assert loaded.start_page
    for card in loaded.start_page:
        if card.question["kind"] in registry():
            analysis_of(card.question["kind"]).question.model_validate(card.question)


ROOMS = """
title: Rooms
generator:
  site: https://rooms.example
  days: 28
  events_per_visitor: 6
  library: {name: analytics.js, version: "1"}
  journey: {steps: [room_opened, vote_cast, match_made], rates: [0.5, 0.5]}
  visitors: {returning: [0.5, 0.25]}
  entries: [{channel: Direct}]
  accounts: {shares: [0, 0.5, 1], before: match_made, sign_up: joined, log_in: returned, user: "u{person.number}"}
  events:
    room_opened: {path: "/rooms/{room.id}", title: Room, drawn: [room]}
    vote_cast: {drawn: [room], properties: {room: "{room.id}", liked: true}}
    match_made: {properties: {run: "{run.number}"}}
    joined: {}
    returned: {}
  browsing: [{event: room_opened, weight: 1}]
  pools: {room: [{id: 7}, {id: 8}]}
"""


def test_another_pack_is_another_life_by_the_same_code(tmp_path: Path) -> None:
    """600 events at 6 a visitor are 100 visitors; half of them vote, and half of those match: 25. All of those, and 13 (12.5 rounded up) of
    the 25 who only vote, have an account."""
    file = tmp_path / "rooms.yaml"
    file.write_text(ROOMS)
    pack = load_pack(str(file)).generator
    planted = truth(pack, seed=1, now=NOW, events=600)
    assert planted["funnel"] == [100, 50, 25]
    assert planted["accounts"] == 38
    votes = [message for message in messages(pack, seed=1, now=NOW, events=600) if name(message) == "vote_cast"]
    assert {message["properties"]["room"] for message in votes} == {7, 8}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("rates: [0.5, 0.5]", "rates: [0.5]", "Rates: give one from 0 to 1"),
        ("event: room_opened, weight", "event: room_closed, weight", "Browsing: the first is the first step"),
        ("drawn: [room]}", "drawn: [hall]}", "hall"),
        ("days: 28", "days: 28\n  weather: fine", "There is no field 'weather'"),
        ("title: Rooms", "title: [", "not valid YAML"),
    ],
)
def test_a_pack_with_a_mistake_is_refused_by_name(tmp_path: Path, old: str, new: str, said: str) -> None:
    file = tmp_path / "rooms.yaml"
    file.write_text(ROOMS.replace(old, new, 1))
    with pytest.raises(AlmanacError, match=said) as refused:
        load_pack(str(file))
    assert refused.value.place.startswith(str(file))


def test_what_is_not_there_is_said() -> None:
    with pytest.raises(AlmanacError, match="no pack 'bakery'"):
        load_pack("bakery")
    with pytest.raises(AlmanacError, match="too short"):
        messages(SHOP, seed=1, now=NOW, events=20)
