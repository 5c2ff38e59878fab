"""What is asked: a question that was checked, with the project's habits, what its names stand for and its times put in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from almanac.core import time as times
from almanac.core.analysis import Analysis, Question, analysis_of
from almanac.core.errors import invalid
from almanac.core.faults import first_fault
from almanac.core.ports import Project
from almanac.core.time import TimeRange, WeekStart
from almanac.definitions import Definitions, Names, question_of


@dataclass(frozen=True)
class Asked:
    """A question that was understood. `now`: the instant at which it was asked."""

    analysis: Analysis[Any]
    question: Question
    project: Project
    now: datetime
    window: TimeRange
    week_start: WeekStart
    as_of: datetime | None
    meant: dict[str, Any]  # the whole question, nothing left to habits or names
    names: Names
    aside: bool = False  # nobody waits for the answer

    @property
    def definition(self) -> str:
        """Hash of what is asked, whoever asks and whenever."""
        return hashlib.sha256(json.dumps(self.meant, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()[:32]

    @property
    def moving(self) -> bool:
        """Whether the range is not over yet."""
        return self.window.end >= self.now


def understood(project: Project, question: Mapping[str, Any], definitions: Definitions, *, now: datetime, aside: bool = False) -> Asked:
    """Raises `invalid` with the name of the field that is wrong, and `not_found` for a name that stands for nothing."""
    names = definitions.names(project.id)
    analysis, checked = _checked(question, names)
    # The project's habits fill in what the question leaves open: where days begin, and weeks.
    zone = checked.timezone or project.zone
    week_start: WeekStart = checked.week_start or ("sunday" if project.week_start == "sunday" else "monday")
    window = times.resolve(
        times.last(checked.last) if checked.last else checked.date_from,
        checked.date_to,
        now=now,
        zone=zone,
        default=checked.DEFAULT_RANGE,
    )
    meant = checked.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    meant |= {"kind": analysis.kind, "timezone": zone, "week_start": week_start}
    return Asked(analysis, checked, project, now, window, week_start, _moment(checked.as_of, zone), meant, names, aside)


def _checked(question: Mapping[str, Any], names: Names) -> tuple[Analysis[Any], Question]:
    if not isinstance(question, Mapping):
        raise invalid("A question is an object.", way_out='Write it like {"kind": "trend", …}.')
    try:
        broken = next(_broken(question), None)
    except RecursionError:
        raise invalid("The question is nested too deeply.", way_out="Use fewer groups within groups.") from None
    if broken is not None:
        raise invalid("The text is not valid Unicode.", place=".".join(broken), way_out="Leave out halves of surrogate pairs.")
    written, model = question_of(question, names)
    try:
        return analysis_of(written["kind"]), model.model_validate(written, context=names)
    except ValidationError as error:
        raise first_fault(error, model) from None


def _broken(value: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where texts stand that cannot be sent to the engine."""
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            yield place
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _broken(name, place)
            yield from _broken(item, (*place, str(name)))
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _broken(item, (*place, str(number)))


def _moment(text: str | None, zone: str) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=times.zone_of(zone))).astimezone(UTC)
    except (ValueError, OverflowError):
        raise invalid(f"{text!r} is not an instant.", place="as_of", way_out="Write 2026-01-31T12:00:00Z.") from None
