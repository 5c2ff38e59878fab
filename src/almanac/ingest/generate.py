"""A made-up life of a product with a known truth: parameters of a pack in, messages in Segment's form out.

Everything follows from the pack, the seed, `now` and the number of events: the same arguments give the same messages to the letter, and
`truth` says what questions about them have to answer. Knows nothing of shops: states, rates and words are the pack's.
"""

from __future__ import annotations

import hashlib
import random
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any, Final

from almanac.ingest.generate_pack import Generator, Record
from almanac.ingest.generate_people import Person, Plan, Session, is_bot
from almanac.ingest.generate_plan import make_plan
from almanac.ingest.generate_shares import weighted
from almanac.ingest.generate_words import Kind, Scope, filler

Message = dict[str, Any]

DEFAULT_EVENTS: Final = 200_000
DEFAULT_SEED: Final = 1
LONGEST_SESSION: Final = 2900.0  # seconds from first to last event; a little less than the plan allows for
LONGEST_PAUSE: Final = 900.0  # seconds between two events of a session
REGULARS_FROM: Final = 1_000_000  # numbers of regulars begin here; no life has so many visitors, or orders


def messages(pack: Generator, *, seed: int, now: datetime, events: int = DEFAULT_EVENTS) -> Iterator[Message]:
    """Exactly `events` messages, session after session in the order of their start, none later than `now`. Message ids follow from the seed
    and the place alone, so that a life that is sent again is counted once. Raises `invalid` for too few events."""
    teller = _Teller(pack, make_plan(pack, seed=seed, now=now, events=events), seed)
    return (message for visit in teller.visits() for message in visit)


def regulars(pack: Generator, *, seed: int, now: datetime, events: int, turn: int) -> Iterator[list[Message]]:
    """Visits of people who are in no life by `messages`: about `events` messages, one list for each visit, in the order of their start.
    In every `turn` (from 1) the same people come, with ids of messages, sessions and orders that are this turn's alone. Nobody signs up
    twice: from the second turn on, visits in which somebody says who they are do not happen. Campaigns are over."""
    usual = pack.model_copy(update={"campaigns": []})
    teller = _Teller(usual, make_plan(usual, seed=seed, now=now, events=events), seed, turn)
    for visit in teller.visits():
        if turn == 1 or not any(message["type"] == "identify" for message in visit):
            yield visit


def truth(pack: Generator, *, seed: int, now: datetime, events: int = DEFAULT_EVENTS) -> dict[str, Any]:
    """What questions about these messages have to answer. People are visitors without crawlers; days and weeks (from Monday) are UTC's.

    `funnel`: people at each step; `funnel_by_campaign`, `funnel_by_channel`: the same by what first brought them; `retention`: by Monday of
    the first week, people who came 0, 1, 2 … weeks later; `visitors_per_day`; `people`: by pool, how many have each of its values;
    `totals`: by event, its property added up by another one, to two decimals; `events_by_name`.
    """
    plan = make_plan(pack, seed=seed, now=now, events=events)
    names: Counter[str] = Counter()
    sums: dict[str, dict[str, int]] = {name: {} for name, kind in pack.events.items() if kind.total}
    for message in (message for visit in _Teller(pack, plan, seed).visits() for message in visit):
        name = message.get("event") or message.get("name") or message["type"]
        names[name] += 1
        total = pack.events[name].total if name in sums else None
        if total:
            by = message["properties"][total.by]
            sums[name][by] = sums[name].get(by, 0) + round(100 * message["properties"][total.of])
    return {
        **_planted(pack, plan),
        "events": events,
        "events_by_name": dict(names),
        "totals": {name: {by: cents / 100 for by, cents in found.items()} for name, found in sums.items()},
    }


def _planted(pack: Generator, plan: Plan) -> dict[str, Any]:
    people, steps = plan.people, len(pack.journey.steps)
    per_day: Counter[str] = Counter()
    retention: dict[str, list[int]] = {}
    for person in people:
        days = {session.day for session in person.sessions}
        per_day.update(plan.day(day).isoformat() for day in days)
        first = plan.week(person.first_day)
        last = plan.week(pack.days)
        row = retention.setdefault(first.isoformat(), [0] * ((last - first).days // 7 + 1))
        for week in {plan.week(day) for day in days}:
            row[(week - first).days // 7] += 1
    return {
        "visitors": len(people),
        "bots": len(plan.bots),
        "sessions": len(plan.sessions),
        "accounts": sum(person.has_account for person in people),
        "other_devices": sum(person.other_device is not None for person in people),
        "steps": list(pack.journey.steps),
        "funnel": _funnel(people, steps),
        "funnel_by_campaign": _funnels(people, steps, lambda person: person.campaign),
        "funnel_by_channel": _funnels(people, steps, lambda person: person.entry.channel),
        "retention": dict(sorted(retention.items())),
        "visitors_per_day": dict(sorted(per_day.items())),
        "people": {name: dict(Counter(person.drawn[name]["name"] for person in people)) for name in pack.visitors.pools},
        "groups": dict(Counter(person.group["id"] for person in people if person.group)),
    }


def _funnel(people: list[Person], steps: int) -> list[int]:
    return [sum(person.furthest >= step for person in people) for step in range(steps)]


def _funnels(people: list[Person], steps: int, of: Callable[[Person], str]) -> dict[str, list[int]]:
    groups: dict[str, list[Person]] = defaultdict(list)
    for person in people:
        groups[of(person)].append(person)
    return {name: _funnel(group, steps) for name, group in sorted(groups.items())}


# ------------------------------------------------------------------ the telling


class _Teller:
    """With a `turn`: of regulars."""

    def __init__(self, pack: Generator, plan: Plan, seed: int, turn: int = 0) -> None:
        self.pack = pack
        self.people_from = REGULARS_FROM if turn else 0
        self.runs_from = REGULARS_FROM * turn
        self.name = f"{seed}-{turn}" if turn else f"{seed}"
        self._plan = plan
        self.seed = seed
        self._chance = random.Random(f"events {seed}")
        self.kinds = {name: Kind.of(name, kind, pack.always) for name, kind in pack.events.items()}
        self._pools = {name: (pool, list(accumulate(weighted(pool)))) for name, pool in pack.pools.items()}
        self.context = filler(pack.context)
        self.user = filler(pack.accounts.user)
        self.traits = filler(pack.accounts.traits)
        self.group_traits = filler(pack.accounts.group.traits if pack.accounts.group else {})
        self.site = pack.site.rstrip("/")
        self._places = {step: place for place, step in enumerate(pack.journey.steps)}
        self._count = 0

    def visits(self) -> Iterator[list[Message]]:
        for number, session in enumerate(self._plan.sessions, 1):
            yield list(_Visit(self, session, number).messages())

    # --------------------------------------------------- what visits ask for

    def new_id(self) -> str:
        """The next message's id."""
        self._count += 1
        digest = hashlib.blake2b(f"{self.site} {self.name} {self._count}".encode(), digest_size=16).digest()
        return str(uuid.UUID(bytes=digest, version=4))

    def device_id(self, person: Person, other: bool) -> str:
        """The anonymous id of a person's first or other device."""
        digest = hashlib.blake2b(f"{self.site} {self.seed} {self.people_from + person.number} {other}".encode(), digest_size=16).digest()
        return str(uuid.UUID(bytes=digest, version=4))

    def draw(self, names: tuple[str, ...], scope: Scope) -> None:
        """Draws from the pools that were not drawn from yet."""
        for name in names:
            if name not in scope:
                pool, weights = self._pools[name]
                scope[name] = self._chance.choices(pool, cum_weights=weights)[0]

    def actions(self, session: Session) -> list[tuple[str, bool]]:
        """The names of a session's events after its first, in order, and whether each is a part of the journey. Words beside the pack's
        own: `identify` and `group`."""
        pack, person = self.pack, session.person
        if is_bot(pack, person):
            return [(self._chance.choice(pack.bots.events), False) for _ in range(pack.bots.pages - 1)]
        done = [(pack.journey.steps[step], True) for step in session.steps]
        if session.signs_up:
            signing_up = [(pack.accounts.sign_up, False), ("identify", False)] + [("group", False)] * (person.group is not None)
            place = next((place for place, (name, _) in enumerate(done) if name == pack.accounts.before), len(done))
            done[place:place] = signing_up
        if session.logs_in:
            done[:0] = [(pack.accounts.log_in, False), ("identify", False)]
        return self._with_browsing(done, session)

    def _with_browsing(self, done: list[tuple[str, bool]], session: Session) -> list[tuple[str, bool]]:
        if not session.browsing:
            return done
        may = [item for item in self.pack.browsing if self._places.get(item.needs, 0) <= session.person.furthest]
        extra = self._chance.choices([item.event for item in may], [item.weight for item in may], k=session.browsing)
        places = sorted(self._chance.randrange(len(done) + 1) for _ in extra)
        mixed, taken = list[tuple[str, bool]](), 0
        for name, place in zip(extra, places, strict=True):
            mixed += [*done[taken:place], (name, False)]
            taken = place
        return mixed + done[taken:]

    def moments(self, session: Session, count: int) -> list[datetime]:
        """When the events of a session happen, to the millisecond, each later than the one before."""
        pauses = [0.0] + [min(LONGEST_PAUSE, 4 + self._chance.expovariate(1 / 55)) for _ in range(count - 1)]
        scale = min(1.0, LONGEST_SESSION / max(1.0, sum(pauses)))
        start = self._plan.start + timedelta(days=session.day, seconds=session.start)
        return [start + timedelta(milliseconds=int(1000 * scale * passed)) for passed in accumulate(pauses)]


class _Visit:
    """One session while it is told: who it is by now, and on which page."""

    def __init__(self, teller: _Teller, session: Session, number: int) -> None:
        person = session.person
        self._teller = teller
        self._session = session
        self._base: Scope = {
            "person": {"number": teller.people_from + person.number, "octet": person.number % 254 + 1},
            "session": {"number": number},
            "run": {"number": teller.runs_from + session.run},
            **person.drawn,
        }
        if person.other_device and session.on_other_device and teller.pack.accounts.other_device:
            self._base[teller.pack.accounts.other_device.pool] = person.other_device
        if person.group and teller.pack.accounts.group:
            self._base[teller.pack.accounts.group.pool] = person.group
        self._run: Scope = dict(self._base)
        self._user = teller.user(self._base) if session.signs_up or session.logs_in or session.is_known else ""
        self._known = session.is_known
        self._grouped = person.group is not None and session.is_known
        self._page = {"url": "", "title": "", "referrer": session.entry.referrer}
        self._who = teller.device_id(person, session.on_other_device)
        self._context = {"library": teller.pack.library, "sessionId": f"{teller.name}-{number}", **teller.context(self._base)}

    def messages(self) -> Iterator[Message]:
        actions = self._teller.actions(self._session)
        moments = self._teller.moments(self._session, len(actions) + 1)
        yield self._event(self._teller.pack.journey.steps[0], True, moments[0])
        for (name, of_journey), moment in zip(actions, moments[1:], strict=True):
            if name == "identify":
                self._known = True
                yield self._message("identify", moment, {"traits": self._teller.traits(self._base)})
            elif name == "group" and self._session.person.group:
                self._grouped = True
                group = {"groupId": self._session.person.group["id"], "traits": self._teller.group_traits(self._base)}
                yield self._message("group", moment, group)
            else:
                yield self._event(name, of_journey, moment)

    def _event(self, name: str, of_journey: bool, moment: datetime) -> Message:
        kind = self._teller.kinds[name]
        scope = self._run if of_journey else dict(self._base)
        self._teller.draw(kind.drawn, scope)
        if kind.path is not None:
            self._turn_to(kind.path(scope), kind.title(scope))
        type_, word = ("page", "name") if kind.is_page else ("track", "event")
        return self._message(type_, moment, {word: name, "properties": kind.properties(scope)})

    def _turn_to(self, path: str, title: str) -> None:
        """A session's first page carries what brought the person; each later one was reached from the one before."""
        before, query = self._page["url"], self._session.entry.query
        url = self._teller.site + path
        if not before:
            self._page = {"url": f"{url}?{query}" if query else url, "title": title, "referrer": self._page["referrer"]}
        else:
            self._page = {"url": url, "title": title, "referrer": before}

    def _message(self, type_: str, moment: datetime, rest: Record) -> Message:
        context = {**self._context, "page": self._page}
        if self._grouped and self._session.person.group:
            context["groupId"] = self._session.person.group["id"]
        message = {
            "type": type_,
            "messageId": self._teller.new_id(),
            "timestamp": moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "anonymousId": self._who,
            **rest,
            "context": context,
        }
        if self._known:
            message["userId"] = self._user
        return message
