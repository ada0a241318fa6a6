"""Coloured bars: a channel's day, the parts of an hour, and the key to the colours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

from rtclassify.reports.days import bounds, instant, parse, zone
from rtclassify.reports.tracks import NO_CAPTURE, UNKNOWN

OWN = {NO_CAPTURE: "var(--away)", UNKNOWN: "var(--paper)"}
HOUR_S = 3600
STRIP = 0.15
"""How high alarms stand above what was heard, which is 1 high."""

STEPS_MIN = (1, 5, 15, 60, 120)
MOST_TICKS = 13


def colours(labels: Sequence[str], colour_of: Callable[[str], str]) -> str:
    """Return the style sheet's part that gives each label its colour, by its place in `labels`."""
    return "".join(
        f".l{n}{{--own:{OWN.get(label) or colour_of(label)}}}" for n, label in enumerate(labels)
    )


def key(labels: Sequence[str]) -> str:
    """Return the key to the colours."""
    spans = (f'<span class="l{n}">{escape(label)}</span>' for n, label in enumerate(labels))
    return f'<p class="key">{"".join(spans)}<span class="bad">alarm</span></p>'


def day(name: str, alarms: Sequence[Mapping[str, Any]], report: Mapping[str, Any]) -> str:
    """Return the bar of a channel, its alarms in a strip above, and its axis.

    `page.js` makes it zoom.

    A rectangle's place is in seconds since the report's ``start``: browsers draw nothing beyond
    2**25 units, which is less than the milliseconds of a day.
    """
    begins, ends = (milliseconds(report[end]) for end in ("start", "end"))
    numbers = {label: n for n, label in enumerate(report["labels"])}

    def rect(what: Mapping[str, Any], css: str, y: float, height: float) -> str:
        x = (milliseconds(what["start"]) - begins) / 1000
        width = what["seconds"]
        return f'<rect class="{css}" x="{x}" width="{width}" y="{y}" height="{height}"/>'

    timeline = report["channels"][name]["timeline"]
    rects = [rect(run, f"l{numbers[run['label']]}", STRIP, 1) for run in timeline]
    rects += [rect(alarm, "alarm", 0, STRIP) for alarm in alarms]
    view = f"0 0 {max(1, ends - begins) / 1000} {1 + STRIP}"
    return (
        f'<figure class="day"><svg class="day" viewBox="{view}" '
        f'preserveAspectRatio="none" tabindex="0" role="img" '
        f'aria-label="What {escape(name)} held, by time; the tables below say the same">'
        f'{"".join(rects)}</svg><div class="ticks">{"".join(_ticks(report))}</div></figure>'
    )


def _ticks(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield times of day on whole steps of the clock, at their share of the width."""
    start, end = milliseconds(report["start"]), milliseconds(report["end"])
    minutes = next((m for m in STEPS_MIN if (end - start) / 60_000 / m < MOST_TICKS), STEPS_MIN[-1])
    step, tz = minutes * 60_000, zone(report["tz"])
    midnight = midnight_of(report)
    for at in range(midnight - (midnight - start) // step * step, end, step):
        left = (at - start) / (end - start)
        yield f'<span style="left:{left:.4%}">{instant(at, tz)[11:16]}</span>'


def midnight_of(report: Mapping[str, Any]) -> int:
    """Return when the report's day begins, in milliseconds since 1970."""
    return bounds(parse(report["day"]), zone(report["tz"]))[0]


def hour(seconds: Mapping[str, float], labels: Sequence[str]) -> str:
    """Return one bar of what each label has of an hour."""
    at, rects = 0.0, []
    for number, label in enumerate(labels):
        width = 100 * seconds[label] / HOUR_S
        if width:
            rects.append(
                f'<rect class="l{number}" x="{at:.3f}" width="{width:.3f}" height="1">'
                f"<title>{escape(label)} {width:.1f} %</title></rect>"
            )
        at += width
    return (
        '<svg class="shares" viewBox="0 0 100 1" preserveAspectRatio="none" height="14">'
        f"{''.join(rects)}</svg>"
    )


def milliseconds(instant: str) -> int:
    """Return milliseconds since 1970 of a time in a report."""
    return round(datetime.fromisoformat(instant).timestamp() * 1000)
