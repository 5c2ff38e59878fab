"""What a domain pack may say to the generator. A pack is one YAML file of `almanac.packs`: data only, checked here and refused by name."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from almanac.core.errors import invalid, not_found
from almanac.core.faults import first_fault
from almanac.core.filters import Model

Record = dict[str, Any]  # one entry of a pool: `weight` says how often, the rest is what texts may name


class Pause(Model):
    """So many leave before a step, and take it in their next session of the same week, if there is one."""

    before: str
    share: float = Field(ge=0, le=1)


class Journey(Model):
    """The way to the goal. `rates`: of those at a step, who gets to the next, exactly."""

    steps: list[str] = Field(min_length=1)
    rates: list[float]
    pause: Pause | None = None
    again: float = Field(0, ge=0, le=1)


class Visitors(Model):
    """When new visitors come and old ones come back. `returning`: share of a weekly cohort 1, 2, 3 … weeks later, exactly; its last value
    holds for all later weeks."""

    growth: float = Field(1, gt=0)
    weekdays: list[float] = Field([1] * 7, min_length=7, max_length=7)
    hours: list[float] = Field([1] * 24, min_length=24, max_length=24)
    sessions: list[float] = Field([1], min_length=1, max_length=7)
    returning: list[float] = Field([0], min_length=1)
    pools: list[str] = []


class Bots(Model):
    """Crawlers, beside the visitors. `share`: of the number of visitors; `instead_of`: the pool of people's that theirs stands for."""

    share: float = Field(0, ge=0, le=1)
    sessions: int = Field(1, ge=1)
    pages: int = Field(1, ge=1)
    pool: str = ""
    instead_of: str = ""
    events: list[str] = []


class Entry(Model):
    """How a session begins; `channel` is what it should be recognised as."""

    channel: str
    weight: float = Field(1, ge=0)
    back: float = Field(0, ge=0)
    referrer: str = ""
    query: str = ""


class Campaign(Model):
    """Further visitors over some days, who convert at rates of their own. `begins` is in days before now."""

    name: str
    begins: int = Field(ge=1)
    days: int = Field(ge=1)
    share: float = Field(ge=0, lt=1)
    rates: list[float]
    entry: Entry


class Grouping(Model):
    """So many accounts belong to a group, whose `id` its pool gives."""

    share: float = Field(ge=0, le=1)
    pool: str
    traits: Record = {}


class OtherDevice(Model):
    """So many of those who come back after signing up log in on another device, from its pool."""

    share: float = Field(ge=0, le=1)
    pool: str


class Accounts(Model):
    """Who signs up, by the furthest step they reach, and when: before the step `before`, else at the end of their main session."""

    shares: list[float]
    before: str
    sign_up: str
    log_in: str
    other_device: OtherDevice | None = None
    user: str
    traits: Record = {}
    group: Grouping | None = None


class Total(Model):
    """A property to add up for the truth, by another one."""

    of: str
    by: str


class EventKind(Model):
    """What an event says. With `path` it is a page of its own."""

    type: Literal["track", "page"] = "track"
    drawn: list[str] = []
    path: str = ""
    title: str = ""
    properties: Record = {}
    total: Total | None = None


class Browsing(Model):
    """An event that people do besides; only those who get as far as the step `needs`."""

    event: str
    weight: float = Field(gt=0)
    needs: str = ""


class Generator(Model):
    """The parameters of one life."""

    site: str
    days: int = Field(ge=1, le=400)
    events_per_visitor: float = Field(ge=1)
    library: dict[str, str]
    journey: Journey
    visitors: Visitors
    bots: Bots = Bots()
    campaigns: list[Campaign] = []
    entries: list[Entry] = Field(min_length=1)
    accounts: Accounts
    context: Record = {}
    always: Record = {}
    events: dict[str, EventKind]
    browsing: list[Browsing] = Field(min_length=1)
    pools: dict[str, list[Record]]

    @model_validator(mode="after")
    def _fits_together(self) -> Generator:
        steps = self.journey.steps
        for rates in (self.journey.rates, *(campaign.rates for campaign in self.campaigns)):
            if len(rates) != len(steps) - 1 or not all(0 <= rate <= 1 for rate in rates):
                raise ValueError("rates: give one from 0 to 1 from each step to the next")
        if len(self.accounts.shares) != len(steps) or not all(0 <= share <= 1 for share in self.accounts.shares):
            raise ValueError("accounts.shares: give one from 0 to 1 for each step")
        if any(campaign.begins > self.days or campaign.begins < campaign.days for campaign in self.campaigns):
            raise ValueError("campaigns: they begin and end within the days")
        if not self.browsing[0].event == steps[0] or self.browsing[0].needs:
            raise ValueError("browsing: the first is the first step, which everybody may do")
        self._names_exist()
        return self

    def _names_exist(self) -> None:
        steps, accounts = self.journey.steps, self.accounts
        events = [*steps, accounts.sign_up, accounts.log_in, *self.bots.events, *(item.event for item in self.browsing)]
        missing = sorted(set(events) - self.events.keys())
        pools = [*self.visitors.pools, *(name for event in self.events.values() for name in event.drawn)]
        pools += [self.bots.pool] * bool(self.bots.share) + ([accounts.group.pool] if accounts.group else [])
        pools += [accounts.other_device.pool] if accounts.other_device else []
        missing += sorted(set(pools) - self.pools.keys())
        places = [accounts.before, *(item.needs for item in self.browsing if item.needs)]
        places += [self.journey.pause.before] if self.journey.pause else []
        missing += sorted(set(places) - set(steps))
        if missing:
            raise ValueError(f"these events, pools or steps are named but not described: {', '.join(missing)}")


class Card(Model):
    """A question with its title."""

    title: str
    question: dict[str, Any]


class Pack(Model):
    """A domain pack."""

    title: str
    generator: Generator
    start_page: list[Card] = []


def load_pack(name: str) -> Pack:
    """The pack of that name, or of that YAML file. Raises `not_found`, `invalid`."""
    shipped = resources.files("almanac") / "packs" / f"{name}.yaml"
    source = Path(name) if name.endswith((".yaml", ".yml")) else shipped
    if not source.is_file():
        raise not_found(f"There is no pack {name!r}.", place="pack", way_out="Give the name of a shipped pack, or a YAML file.")
    try:
        return Pack.model_validate(yaml.safe_load(source.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise invalid(f"The pack is not valid YAML: {error}.", place=name) from None
    except ValidationError as error:
        fault = first_fault(error, Pack)
        fault.place = f"{name}: {fault.place}"
        raise fault from None
