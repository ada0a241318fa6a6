"""What a channel should hold at certain hours."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rtclassify.alarm_kinds import EXPECTED
from rtclassify.alarm_settings import AlarmSettings, Expected, parse_alarms
from rtclassify.alarms.guard import Guard
from rtclassify.events import Alarm, Label, Level, Stamp

RATE = 8_000
MONDAY = datetime(2026, 3, 16, tzinfo=UTC)
RULE = {"label": "speech", "at_least": 0.2, "in_any_min": 30}


def rule(**more: Any) -> Expected:
    return parse_alarms({"expected": [{**RULE, **more}]}).expected[0]


def watch(*rules: Expected, zone: str = "UTC", channel: str = "a") -> Guard:
    settings = AlarmSettings({}, rules, zone)
    return Guard(channel, rate=RATE, settings=settings, utc=_utc)


def _utc(clock_s: float) -> datetime:
    return MONDAY + timedelta(seconds=clock_s)


def day(
    watching: Guard, names: Sequence[str], *, from_min: float, step_s: int = 10
) -> list[tuple[bool, float]]:
    """Say final labels of ten seconds each; return what was raised and cleared, and when."""
    changes = []
    for number, name in enumerate(names):
        end_s = from_min * 60 + (number + 1) * step_s
        if name:
            alarms = watching.labelled(label(name, end_s, step_s))
            changes += [(alarm.raised, end_s / 60) for alarm in alarms]
            assert all(alarm.kind == EXPECTED for alarm in alarms)
    return changes


def label(name: str, end_s: float, step_s: int) -> Label:
    start, end = round((end_s - step_s) * RATE), round(end_s * RATE)
    return Label("a", start, end, {}, name, True, Level(None, None), 0, Stamp(end_s, 0.0))


def minutes(name: str, count: float) -> list[str]:
    return [name] * round(count * 6)


def test_too_little_speech_in_half_an_hour_is_raised_and_enough_clears_it() -> None:
    told = day(watch(rule()), minutes("music", 40) + minutes("speech+music", 20), from_min=0)

    assert [raised for raised, _ in told] == [True, False]
    assert told[0][1] == pytest.approx(31.0, abs=0.2)
    assert told[1][1] == pytest.approx(46.0, abs=0.2)


def test_enough_of_it_here_and_there_raises_nothing() -> None:
    hour = (minutes("music", 7) + minutes("speech", 2)) * 20

    assert day(watch(rule()), hour, from_min=0) == []


def test_only_the_hours_count_and_their_end_clears_it() -> None:
    """The first half hour that can be judged ends at half past six."""
    watching = watch(rule(hours="06:00-10:00"))
    told = day(watching, minutes("music", 6 * 60), from_min=5 * 60)

    assert [raised for raised, _ in told] == [True, False]
    assert told[0][1] == pytest.approx(6.5 * 60, abs=0.2)
    assert told[1][1] == pytest.approx(10 * 60 + 1, abs=0.2)


@pytest.mark.parametrize(
    ("days", "weekday", "judged"),
    [("mon-fri", 0, True), ("mon-fri", 5, False), ("sat", 5, True), ("sat-mon", 0, True),
     ("fri-sun", 0, False)],
)  # fmt: skip
def test_only_the_days_count(days: str, weekday: int, *, judged: bool) -> None:
    told = day(watch(rule(days=days)), minutes("music", 60), from_min=weekday * 1440 + 300)

    assert bool(told) is judged


def test_hours_that_pass_midnight_belong_to_the_day_on_which_they_begin() -> None:
    night = rule(hours="22:00-02:00", days="sun")
    sunday_evening = 6 * 1440 + 22 * 60

    assert len(day(watch(night), minutes("music", 300), from_min=sunday_evening + 90)) == 2
    assert day(watch(night), minutes("music", 100), from_min=0.0 + 22 * 60) == []


def test_hours_are_told_in_the_configured_time_zone() -> None:
    """In March Berlin is an hour ahead of UTC."""
    watching = watch(rule(hours="06:00-10:00"), zone="Europe/Berlin")
    told = day(watching, minutes("music", 3 * 60), from_min=4 * 60)

    assert told[0][1] == pytest.approx(5.5 * 60, abs=0.2)


def test_what_was_not_heard_is_not_held_against_a_channel() -> None:
    hour = (minutes("music", 1) + minutes("", 3)) * 30

    assert day(watch(rule()), hour, from_min=0) == []


def test_a_rule_may_be_for_some_channels_only() -> None:
    some = rule(channels=["b"])
    assert day(watch(some), minutes("music", 60), from_min=0) == []
    assert day(watch(some, channel="b"), minutes("music", 60), from_min=0) != []


def test_two_rules_are_two_incidents() -> None:
    watching = watch(rule(), rule(label="music", at_least=0.9))
    alarms: list[Alarm] = []
    for number, name in enumerate(minutes("other", 40)):
        alarms += watching.labelled(label(name, 10.0 * (number + 1), 10))

    assert [alarm.incident for alarm in alarms] == [0, 1]
    assert alarms[0].sentence.startswith("speech 0% of the last 30 minutes, at least 20%")
    assert (alarms[0].limits.trigger, alarms[0].limits.trigger_s) == (0.2, 1800.0)


def test_a_recording_has_no_hours() -> None:
    timeless = Label("a", 0, 10, {}, "music", True, Level(None, None), 0, None)

    assert watch(rule()).labelled(timeless) == []
