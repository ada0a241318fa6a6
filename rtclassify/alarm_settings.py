"""The kinds of alarms, what raises and clears each, and where alarms go: ``[alarms]``.

One table, `KINDS`, says it all; docs/alarms.md says it to people.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from rtclassify.checks import number, refuse_unknown, table, text, truth
from rtclassify.errors import ConfigError

EXPECTED = "expected-content"


@dataclass(frozen=True, slots=True)
class Limits:
    """What raises an alarm and what clears it.

    Args:
        trigger: The figure from which there is trouble; None where trouble is a yes or a no.
        trigger_s: How long it must last to raise the alarm.
        release: The figure from which all is well; what lies between changes nothing.
        release_s: How long that must last to clear the alarm.
    """

    trigger: float | None
    trigger_s: float
    release: float | None
    release_s: float


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of alarm.

    Args:
        limits: What raises and clears it unless configured.
        rises: Whether trouble lies at the trigger and above, rather than at it and below.
        low: The least that trigger and release can be set to.
        high: The most.
        trouble: What to say when it is raised, with ``{}`` for the figure and names for what
            else the watch knows.
        over: What to say when it is cleared.
    """

    limits: Limits
    rises: bool
    low: float
    high: float
    trouble: str
    over: str


KINDS: dict[str, Kind] = {
    "no-capture": Kind(
        Limits(None, 15.0, None, 1.0), True, 0.0, 0.0,
        "no audio arrives: {reason}", "audio arrives again",
    ),
    "digital-silence": Kind(
        Limits(None, 10.0, None, 1.0), True, 0.0, 0.0,
        "digital silence: nothing but zeros arrives", "more than zeros arrives again",
    ),
    "silence": Kind(
        Limits(-60.0, 10.0, -57.0, 3.0), False, -120.0, -10.0,
        "silence at {:.1f} dBFS", "the silence is over",
    ),
    "clipping": Kind(
        Limits(0.1, 15.0, 0.02, 5.0), True, 0.0001, 100.0,
        "clipped: {:.2f} % of ten seconds stand still at full scale", "it clips no more",
    ),
    "leg-missing": Kind(
        Limits(30.0, 10.0, 20.0, 3.0), True, 3.0, 120.0,
        "one leg of the stereo pair is missing: it is {:.0f} dB below the other one",
        "both legs of the stereo pair are there again",
    ),
    "out-of-phase": Kind(
        Limits(-0.7, 10.0, -0.3, 3.0), False, -1.0, 0.9,
        "the legs of the stereo pair are out of phase: correlation {:.2f}",
        "the legs of the stereo pair are in phase again",
    ),
    "device-changed": Kind(
        Limits(None, 0.0, None, 0.0), True, 0.0, 0.0,
        "the audio comes from {device}, and came from {first} at first", "{first} delivers again",
    ),
    "stuck-loop": Kind(
        Limits(0.997, 120.0, 0.98, 20.0), True, 0.5, 0.9999,
        "the same audio comes again and again: it was heard {period_s:.1f} s before too",
        "the audio goes on",
    ),
    "test-tone": Kind(
        Limits(0.95, 10.0, 0.8, 2.0), True, 0.1, 0.99,
        "a steady tone of {tone_hz:.0f} Hz", "the steady tone is over",
    ),
    "hiss": Kind(
        Limits(0.45, 30.0, 0.35, 2.0), True, 0.05, 0.56,
        "steady noise, as of an open squelch: flatness {:.2f}", "the steady noise is over",
    ),
}  # fmt: skip

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
    said: dict[str, Any] = {"kinds": _kinds(chosen)}
    if "expected" in chosen:
        said["expected"] = _expectations(chosen["expected"])
    if "time_zone" in chosen:
        said["time_zone"] = _time_zone(chosen["time_zone"])
    if "command" in chosen:
        said["command"] = _command(chosen["command"])
    if "webhook" in chosen:
        said["webhook"] = _webhook(chosen["webhook"])
    return AlarmSettings(**said)


def _kinds(chosen: Mapping[str, Any]) -> dict[str, Limits]:
    limits = _usual()
    for name in KINDS.keys() & chosen.keys():
        given = table(f"alarms.{name}", chosen[name])
        limits[name] = _limits(name, {key: value for key, value in given.items() if key != "on"})
        if not truth(f"alarms.{name}.on", given.get("on", True)):
            del limits[name]
    return limits


def _limits(name: str, given: Mapping[str, Any]) -> Limits:
    kind, prefix = KINDS[name], f"alarms.{name}."
    has_level = kind.limits.trigger is not None
    known = [f.name for f in fields(Limits) if has_level or f.name.endswith("_s")]
    refuse_unknown(given, {*known, "on"}, prefix)
    checked = {
        key: number(prefix + key, value, low=0.0, high=86_400.0)
        if key.endswith("_s")
        else number(prefix + key, value, low=kind.low, high=kind.high)
        for key, value in given.items()
    }
    limits = replace(kind.limits, **checked)
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
