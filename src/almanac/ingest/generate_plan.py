"""Who comes when and gets how far: the truth that is planted, as people and their sessions.

Every share of the pack becomes a number of people by rounding half up, and every split by weights adds up by the largest remainders, so
that rates and cohorts hold exactly. Chance only decides who and when. Days and weeks (from Monday) are those of UTC.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any, Final, TypeVar

from almanac.core.errors import invalid
from almanac.ingest.generate_pack import Entry, Generator
from almanac.ingest.generate_people import Person, Plan, Session, is_bot
from almanac.ingest.generate_shares import apportion, reached, rounded, weighted

T = TypeVar("T")

LEAST_EVENTS: Final = 100
LONGEST_SESSION: Final = 3000  # seconds
# A session ends so long before midnight that it belongs to one day, and lies more than 30 minutes apart from the next one.
DAY_END: Final = 86_400 - 2100
_LEAST_OF_TODAY: Final = 7200  # seconds; before that, nothing happens today


def make_plan(pack: Generator, *, seed: int, now: datetime, events: int) -> Plan:
    """Plans for exactly `events` events. The same arguments give the same plan. Raises `invalid` for too few events."""
    if events < LEAST_EVENTS:
        raise invalid(f"A life of {events} events is too short.", place="events", way_out=f"Ask for {LEAST_EVENTS} or more.")
    visitors = max(1, int(events / pack.events_per_visitor))
    while True:
        plan = _Planner(pack, seed, now).plan(visitors)
        left = events - sum(fixed_events(pack, session) for session in plan.sessions)
        if left >= 0:
            break
        if visitors == 1:
            raise invalid(f"One visitor of this pack needs more than {events} events.", place="events", way_out="Ask for more.")
        visitors = max(1, min(visitors - 1, int(visitors * events / (events - left))))
    _spread_browsing(plan, left, random.Random(f"browsing {seed}"))
    return plan


def fixed_events(pack: Generator, session: Session) -> int:
    """How many events a session has without browsing."""
    count = 1 + len(session.steps) + 2 * (session.signs_up + session.logs_in)
    count += session.signs_up and session.person.group is not None
    return count + (pack.bots.pages - 1 if is_bot(pack, session.person) else 0)


class _Planner:
    def __init__(self, pack: Generator, seed: int, now: datetime) -> None:
        self._pack = pack
        self._chance = random.Random(f"plan {seed}")
        now = now.astimezone(UTC)
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        self._start = today - timedelta(days=pack.days)
        passed = (now - today).total_seconds()
        self._today_end = min(float(DAY_END), passed)
        # How much of each day there is: 1, and of today what has passed.
        self._parts = [1.0] * pack.days + ([passed / 86_400] if passed >= _LEAST_OF_TODAY else [])
        self._weekday = self._start.weekday()
        self._hours = list(accumulate(pack.visitors.hours))
        self._runs = 0

    def plan(self, visitors: int) -> Plan:
        people = self._arrive(visitors)
        self._reach(people)
        self._deal(people)
        self._come_back(people)
        self._convert(people)
        self._sign_up(people)
        bots = self._crawl(rounded(visitors * self._pack.bots.share), len(people))
        sessions = [session for person in (*people, *bots) for session in person.sessions]
        sessions.sort(key=lambda session: (session.day, session.start, session.person.number))
        return Plan(self._start, people, bots, sessions)

    # ------------------------------------------------------------- who comes

    def _arrive(self, visitors: int) -> list[Person]:
        """New visitors by day: those of campaigns on their days, all others by growth and weekday."""
        pack, people = self._pack, list[Person]()
        for campaign in pack.campaigns:
            first = pack.days - campaign.begins
            weights = [self._weight(day) if first <= day < first + campaign.days else 0.0 for day in range(len(self._parts))]
            for day, count in enumerate(apportion(rounded(visitors * campaign.share), weights)):
                people += [Person(0, campaign.entry, day, campaign.name) for _ in range(count)]
        usual = max(0, visitors - len(people))
        entries = self._dealt(pack.entries, [entry.weight for entry in pack.entries], usual)
        growing = [pack.visitors.growth ** (day / pack.days) * self._weight(day) for day in range(len(self._parts))]
        days = [day for day, count in enumerate(apportion(usual, growing)) for _ in range(count)]
        people += [Person(0, entry, day) for entry, day in zip(entries, days, strict=True)]
        for number, person in enumerate(people, 1):
            person.number = number
        return people

    def _reach(self, people: list[Person]) -> None:
        """How far each gets, by the rates of what brought them."""
        rates = {campaign.name: campaign.rates for campaign in self._pack.campaigns}
        for name in ("", *rates):
            group = self._shuffled([person for person in people if person.campaign == name])
            for step, count in enumerate(reached(len(group), rates.get(name, self._pack.journey.rates))):
                for person in group[:count]:
                    person.furthest = step

    def _deal(self, people: list[Person]) -> None:
        for name in self._pack.visitors.pools:
            pool = self._pack.pools[name]
            for person, record in zip(people, self._dealt(pool, weighted(pool), len(people)), strict=True):
                person.drawn[name] = record

    # ---------------------------------------------------------- when they come

    def _come_back(self, people: list[Person]) -> None:
        """Gives each person the sessions of the first week and of the weeks in which they are back, an exact share of each cohort."""
        days_of: dict[int, list[int]] = defaultdict(list)
        for day in range(len(self._parts)):
            days_of[self._week(day)].append(day)
        cohorts: dict[int, list[Person]] = defaultdict(list)
        for person in people:
            cohorts[self._week(person.first_day)].append(person)
            later = [day for day in days_of[self._week(person.first_day)] if day > person.first_day]
            person.sessions.append(self._session(person, person.first_day, person.entry))
            self._visit(person, later, self._session_count() - 1)
        steps = len(self._pack.journey.steps)
        for week, cohort in sorted(cohorts.items()):
            loyalty = {person.number: self._chance.random() + 0.5 * person.furthest / steps for person in cohort}
            for later_week in sorted(each for each in days_of if each > week):
                days = days_of[later_week]
                full = 7 if later_week < self._week(len(self._parts) - 1) else sum(self._parts[day] for day in days)
                count = rounded(len(cohort) * self._returning(later_week - week) * full / 7)
                back = sorted(cohort, key=lambda person: loyalty[person.number] + self._chance.random(), reverse=True)[:count]
                for person in back:
                    self._visit(person, days, self._session_count())

    def _returning(self, weeks: int) -> float:
        shares = self._pack.visitors.returning
        return shares[min(weeks, len(shares)) - 1]

    def _session_count(self) -> int:
        weights = self._pack.visitors.sessions
        return self._chance.choices(range(1, len(weights) + 1), weights)[0]

    def _visit(self, person: Person, days: Sequence[int], count: int) -> None:
        """Up to `count` sessions, on days of their own."""
        drawn = sorted(days, key=lambda day: self._chance.random() ** (1 / max(self._weight(day), 1e-9)), reverse=True)[: max(0, count)]
        back = [entry.back for entry in self._pack.entries]
        for day in sorted(drawn):
            entry = self._chance.choices(self._pack.entries, back)[0] if any(back) else person.entry
            person.sessions.append(self._session(person, day, entry))

    def _session(self, person: Person, day: int, entry: Entry) -> Session:
        hour = bisect(self._hours, self._chance.random() * self._hours[-1])
        start = hour * 3600 + self._chance.randrange(3600)
        end = DAY_END if day < self._pack.days else self._today_end
        if start > end - LONGEST_SESSION:
            start = int(self._chance.random() * (end - LONGEST_SESSION))
        return Session(person, day, start, entry)

    # ------------------------------------------------------------ what they do

    def _convert(self, people: list[Person]) -> None:
        """Each goes as far as they get in a main session (or it and the next one of the week), and some go the same way again later."""
        journey = self._pack.journey
        pause = journey.steps.index(journey.pause.before) if journey.pause else 0
        for person in people:
            if not person.furthest:
                continue
            main = 0 if self._chance.random() < 0.6 else self._chance.randrange(len(person.sessions))
            session, following = person.sessions[main], person.sessions[main + 1 : main + 2]
            self._runs += 1
            split = person.furthest + 1
            if journey.pause and person.furthest >= pause and following and self._week(following[0].day) == self._week(session.day):
                split = pause if self._chance.random() < journey.pause.share else split
            session.steps, session.run = range(1, split), self._runs
            later = person.sessions[main + 1 :]
            if split <= person.furthest:
                later[0].steps, later[0].run = range(split, person.furthest + 1), self._runs
                later = later[1:]
            for other in later:
                if self._chance.random() < journey.again:
                    self._runs += 1
                    other.steps, other.run = range(1, person.furthest + 1), self._runs

    def _sign_up(self, people: list[Person]) -> None:
        """Accounts by the furthest step, groups, and devices that turn out to be the same person's."""
        accounts, holders = self._pack.accounts, list[Person]()
        for step, share in enumerate(accounts.shares):
            group = self._shuffled([person for person in people if person.furthest == step])
            holders += group[: rounded(len(group) * share)]
        before = self._pack.journey.steps.index(accounts.before)
        again = list[tuple[Person, int]]()
        for person in holders:
            person.has_account = True
            done = [place for place, session in enumerate(person.sessions) if session.run]
            place = next((place for place in done if before in person.sessions[place].steps), done[0] if done else 0)
            person.sessions[place].signs_up = True
            for session in person.sessions[place + 1 :]:
                session.is_known = True
            if place + 1 < len(person.sessions):
                again.append((person, place))
        if accounts.group:
            pool = self._pack.pools[accounts.group.pool]
            members = self._shuffled(holders)[: rounded(len(holders) * accounts.group.share)]
            for person, record in zip(members, self._dealt(pool, weighted(pool), len(members)), strict=True):
                person.group = record
        if accounts.other_device:
            pool = self._pack.pools[accounts.other_device.pool]
            for person, place in self._shuffled(again)[: rounded(len(again) * accounts.other_device.share)]:
                person.other_device = self._chance.choices(pool, weighted(pool))[0]
                self._take_other_device(person, place)

    def _take_other_device(self, person: Person, signed_up: int) -> None:
        first = self._chance.randrange(signed_up + 1, len(person.sessions))
        for session in person.sessions[first:]:
            session.on_other_device = session is person.sessions[first] or self._chance.random() < 0.5
        person.sessions[first].is_known, person.sessions[first].logs_in = False, True

    def _crawl(self, count: int, people: int) -> list[Person]:
        pool = self._pack.pools.get(self._pack.bots.pool, [])
        bots = list[Person]()
        for number, record in enumerate(self._dealt(pool, weighted(pool), count), people + 1):
            bot = Person(number, Entry(channel="Direct"), 0, drawn={name: self._pack.pools[name][0] for name in self._pack.visitors.pools})
            bot.drawn |= {self._pack.bots.pool: record, self._pack.bots.instead_of: record}
            days = self._chance.sample(range(self._pack.days), min(self._pack.bots.sessions, self._pack.days))
            bot.sessions = [self._session(bot, day, bot.entry) for day in sorted(days)]
            bot.first_day = bot.sessions[0].day
            bots.append(bot)
        return bots

    # --------------------------------------------------------------- chance

    def _dealt(self, values: Sequence[T], weights: Sequence[float], count: int) -> list[T]:
        """`count` of the values, each as often as its weight says, in any order."""
        return self._shuffled([value for value, times in zip(values, apportion(count, weights), strict=True) for _ in range(times)])

    def _shuffled(self, values: list[T]) -> list[T]:
        drawn = list(values)
        self._chance.shuffle(drawn)
        return drawn

    def _week(self, day: int) -> int:
        return (day + self._weekday) // 7

    def _weight(self, day: int) -> float:
        return self._pack.visitors.weekdays[(day + self._weekday) % 7] * self._parts[day]


def _spread_browsing(plan: Plan, count: int, chance: random.Random) -> None:
    """Hands what is left to people's sessions: many get little, few get much."""
    sessions = [session for person in plan.people for session in person.sessions]
    weights: list[Any] = [chance.expovariate(1) for _ in sessions]
    for session in chance.choices(sessions, weights, k=count):
        session.browsing += 1
