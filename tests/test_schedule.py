"""Schedules: what texts mean, and the next moment by a plain look at every minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from almanac.core.schedule import parse

BERLIN = ZoneInfo("Europe/Berlin")


def after(text: str, moment: str, zone: ZoneInfo = BERLIN) -> str:
    found = parse(text).next(datetime.fromisoformat(moment), zone)
    return found.astimezone(UTC).strftime("%Y-%m-%dT%H:%M") if found else "never"


def test_what_texts_mean() -> None:
    assert after("every 15 minutes", "2026-03-10T12:00:00Z") == "2026-03-10T12:15"
    assert after("Every  2 hours", "2026-03-10T12:59:59Z") == "2026-03-10T14:00"
    assert after("every hour", "2026-03-10T12:00:01Z") == "2026-03-10T13:00"
    assert after("every day at 03:30", "2026-03-10T12:00:00Z") == "2026-03-11T02:30"
    assert after("daily at 3:30", "2026-03-10T02:00:00Z") == "2026-03-10T02:30"
    assert after("every monday at 06:00", "2026-03-10T12:00:00Z") == "2026-03-16T05:00"
    assert after("*/20 8-9 * * mon-fri", "2026-03-13T08:41:00Z") == "2026-03-16T07:00"
    assert after("0 0 29 feb *", "2026-03-10T12:00:00Z") == "2028-02-28T23:00"
    assert after("by hand", "2026-03-10T12:00:00Z") == "never"


def test_both_kinds_of_day_mean_either() -> None:
    """As cron has it: the 13th, and every Friday."""
    assert after("0 12 13 * 5", "2026-03-10T12:00:00Z", ZoneInfo("UTC")) == "2026-03-13T12:00"
    assert after("0 12 13 * 5", "2026-04-03T12:00:00Z", ZoneInfo("UTC")) == "2026-04-10T12:00"
    assert after("0 12 13 * 5", "2026-04-10T12:00:00Z", ZoneInfo("UTC")) == "2026-04-13T12:00"


def test_a_change_of_the_clock_neither_skips_nor_doubles() -> None:
    # On 2026-03-29 02:30 does not exist in Berlin, on 2026-10-25 it comes twice.
    assert after("30 2 * * *", "2026-03-28T12:00:00Z") == "2026-03-29T01:30"
    assert after("30 2 * * *", "2026-03-29T01:30:00Z") == "2026-03-30T00:30"
    assert after("30 2 * * *", "2026-10-24T12:00:00Z") == "2026-10-25T00:30"
    assert after("30 2 * * *", "2026-10-25T00:30:00Z") == "2026-10-26T01:30"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "every 0 minutes",
        "every 400 days",
        "60 * * * *",
        "* 24 * * *",
        "0 0 31 2 *",
        "5-1 * * * *",
        "*/0 * * * *",
        "a b c d e",
        "* * *",
    ],
)
def test_what_is_no_schedule_is_said_in_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w+ .*\w"):
        parse(text)


fields = st.tuples(
    st.sampled_from(["*", "0", "*/7", "5,35", "10-20/3", "59"]),
    st.sampled_from(["*", "0", "*/5", "3", "22-23"]),
    st.sampled_from(["*", "1", "13", "*/10", "28-31"]),
    st.sampled_from(["*", "2", "6-8", "*/5"]),
    st.sampled_from(["*", "0", "1-5", "7", "mon,thu"]),
)
DAYS = {"0": {0}, "7": {0}, "1-5": {1, 2, 3, 4, 5}, "mon,thu": {1, 4}, "*": set(range(7))}


def among(field: str, number: int, least: int, most: int) -> bool:
    for part in field.split(","):
        span, _, step = part.partition("/")
        low, _, high = (f"{least}-{most}" if span == "*" else span).partition("-")
        if number in range(int(low), int(high or (most if step else low)) + 1, int(step or 1)):
            return True
    return False


@given(fields, st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 1)))
@settings(max_examples=200, deadline=None)
def test_law_the_next_moment_is_the_first_minute_that_fits(given_fields: tuple[str, ...], naive: datetime) -> None:
    minute, hour, day, month, weekday = given_fields
    moment = naive.replace(tzinfo=UTC)
    found = parse(" ".join(given_fields)).next(moment, ZoneInfo("UTC"))

    def fits(at: datetime) -> bool:
        of_month, of_week = among(day, at.day, 1, 31), at.isoweekday() % 7 in DAYS[weekday]
        days = of_month or of_week if day[0] != "*" and weekday[0] != "*" else of_month and of_week
        return days and among(month, at.month, 1, 12)

    assert found is not None
    assert found > moment
    assert found.second == 0
    assert fits(found)
    assert among(hour, found.hour, 0, 23)
    assert among(minute, found.minute, 0, 59)
    # Nothing between that would fit: whole days first, then the minutes of the first day.
    at = (moment + timedelta(minutes=1)).replace(second=0, microsecond=0)
    while at < found:
        if fits(at):
            assert not (among(hour, at.hour, 0, 23) and among(minute, at.minute, 0, 59)), at
            at += timedelta(minutes=1)
        else:
            at = (at + timedelta(days=1)).replace(hour=0, minute=0)
