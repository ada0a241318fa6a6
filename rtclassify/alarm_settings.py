"""What raises alarms, what channels should hold, and where alarms go: ``[alarms]``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from rtclassify.alarm_kinds import KINDS, Limits
from rtclassify.checks import number, refuse_unknown, table, text, truth
from rtclassify.errors import ConfigError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MIN = 24 * 60


@dataclass(frozen=True, slots=True)
class Expected:
    """What a channel should hold at certain hours.

    Args:
        label: One of the model's answers; ``speech`` is found in ``speech+music`` too.
        at_least: Its share of what was heard, 0 to 1.
        in_any_min: Of so many minutes.
        days: Days on which the hours begin, 0 for Monday; all unless given.
        start_min: Minutes from midnight, local time, at which the hours begin.
        end_min: Where they end; more than a day where they pass midnight.
        channels: Names of the channels; empty for all of them.
    """

    label: str
    at_least: float
    in_any_min: int
    days: tuple[int, ...] = tuple(range(len(DAYS)))
    start_min: int = 0
    end_min: int = DAY_MIN
    channels: tuple[str, ...] = ()


def _usual() -> dict[str, Limits]:
    return {name: kind.limits for name, kind in KINDS.items()}


@dataclass(frozen=True, slots=True)
class AlarmSettings:
    """What raises alarms, and where they go besides the stream.

    Args:
        kinds: What raises and clears each kind; kinds that are switched off are not there.
        expected: What channels should hold.
        time_zone: In which the hours of `expected` are told.
        command: A program and its arguments, run for each alarm; empty for none.
        webhook: A URL that each alarm is posted to.
    """

    kinds: Mapping[str, Limits] = field(default_factory=_usual)
    expected: tuple[Expected, ...] = ()
    time_zone: str = "UTC"
    command: tuple[str, ...] = ()
    webhook: str | None = None


def parse_alarms(chosen: Mapping[str, Any]) -> AlarmSettings:
    """Check the table ``[alarms]``.

    Raises:
        ConfigError: If a key is unknown or a value is of the wrong kind or out of range.
    """
    ways = {"expected", "time_zone", "command", "webhook"}
    refuse_unknown(chosen, {*KINDS, *ways}, "alarms.")
    kinds = {name: value for name, value in chosen.items() if name in KINDS}
    usual = {name: kind.limits for name, kind in KINDS.items()}
    said: dict[str, Any] = {"kinds": parse_kinds(kinds, usual, "alarms")}
    if "expected" in chosen:
        said["expected"] = _expectations(chosen["expected"])
    if "time_zone" in chosen:
        said["time_zone"] = _time_zone(chosen["time_zone"])
    if "command" in chosen:
        said["command"] = _command(chosen["command"])
    if "webhook" in chosen:
        said["webhook"] = _webhook(chosen["webhook"])
    return AlarmSettings(**said)


def parse_kinds(
    chosen: Mapping[str, Any], usual: Mapping[str, Limits], key: str
) -> dict[str, Limits]:
    """Check a table of kinds and return what raises and clears each; those off are left out.

    Args:
        chosen: A table for each kind that is changed.
        usual: What holds otherwise; a kind that is missing is off.
        key: The key of `chosen`, for messages.

    Raises:
        ConfigError: If a key is unknown or a value is of the wrong kind or out of range.
    """
    refuse_unknown(chosen, KINDS, f"{key}.")
    kinds = dict(usual)
    for name, value in chosen.items():
        given = {"on": True, **table(f"{key}.{name}", value)}
        limits = _limits(name, given, kinds.pop(name, KINDS[name].limits), f"{key}.{name}.")
        if truth(f"{key}.{name}.on", given["on"]):
            kinds[name] = limits
    return kinds


def _limits(name: str, given: Mapping[str, Any], usual: Limits, prefix: str) -> Limits:
    kind = KINDS[name]
    has_level = kind.limits.trigger is not None
    known = [f.name for f in fields(Limits) if has_level or f.name.endswith("_s")]
    refuse_unknown(given, {*known, "on"}, prefix)
    ranges = {True: (0.0, 86_400.0), False: (kind.low, kind.high)}
    checked = {}
    for key in known:
        low, high = ranges[key.endswith("_s")]
        if key in given:
            checked[key] = number(prefix + key, given[key], low=low, high=high)
    limits = replace(usual, **checked)
    if limits.trigger is not None and limits.release is not None:
        wrong = limits.release > limits.trigger if kind.rises else limits.release < limits.trigger
        if wrong:
            side = "below" if kind.rises else "above"
            raise ConfigError(
                f"{prefix}release = {limits.release:g} must not lie beyond the trigger, "
                f"{limits.trigger:g}; set it to that or {side}."
            )
    return limits


def _expectations(tables: Any) -> tuple[Expected, ...]:
    if not isinstance(tables, list):
        raise ConfigError("alarms.expected must be tables; write [[alarms.expected]].")
    return tuple(_expectation(table("alarms.expected", given)) for given in tables)


def _expectation(given: Mapping[str, Any]) -> Expected:
    prefix = "alarms.expected."
    wanted = ("label", "at_least", "in_any_min")
    refuse_unknown(given, {*wanted, "days", "hours", "channels"}, prefix)
    for key in wanted:
        if key not in given:
            raise ConfigError(f"{prefix}{key} is missing; say how much of what in which time.")
    start, end = _hours(given.get("hours", "00:00-24:00"))
    minutes = round(number(prefix + "in_any_min", given["in_any_min"], low=1, high=end - start))
    return Expected(
        text(prefix + "label", given["label"]),
        number(prefix + "at_least", given["at_least"], low=0.0, high=1.0),
        minutes,
        _days(given.get("days", "mon-sun")),
        start,
        end,
        tuple(text(prefix + "channels", name) for name in given.get("channels", [])),
    )


def _days(value: Any) -> tuple[int, ...]:
    first, _, last = str(value).partition("-")
    if first not in DAYS or (last or first) not in DAYS:
        raise ConfigError(
            f'alarms.expected.days = {value!r} must be a day or two, such as "mon-fri" or "sat".'
        )
    start, end = DAYS.index(first), DAYS.index(last or first)
    return tuple((start + n) % len(DAYS) for n in range((end - start) % len(DAYS) + 1))


def _hours(value: Any) -> tuple[int, int]:
    found = re.fullmatch(r"(\d\d):([0-5]\d)-(\d\d):([0-5]\d)", str(value))
    if found:
        from_h, from_min, to_h, to_min = map(int, found.groups())
        start, end = 60 * from_h + from_min, 60 * to_h + to_min
        end += DAY_MIN if end <= start else 0
        if start < DAY_MIN and end <= start + DAY_MIN and 60 * to_h + to_min <= DAY_MIN:
            return start, end
    raise ConfigError(
        f'alarms.expected.hours = {value!r} must be two times of day, such as "06:00-10:00".'
    )


def _time_zone(value: Any) -> str:
    name = text("alarms.time_zone", value)
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ConfigError(
            f'alarms.time_zone = {name!r} is not known here; write one such as "Europe/Berlin".'
        ) from error
    return name


def _command(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise ConfigError(
            f'alarms.command = {value!r} must list a program and its arguments: ["/bin/program"].'
        )
    return tuple(text("alarms.command", word) for word in value)


def _webhook(value: Any) -> str:
    url = text("alarms.webhook", value)
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            f"alarms.webhook = {url!r} must begin with http:// or https:// and a host."
        )
    return url
