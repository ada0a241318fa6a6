"""Coloured bars: a channel's day, the shares of an hour, and the key to the colours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from html import escape
from typing import Any

from rtclassify.reports.tracks import NO_CAPTURE, UNKNOWN

OWN = {NO_CAPTURE: "var(--away)", UNKNOWN: "var(--paper)"}
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
    return f'<p class="key">{"".join(spans)}</p>'


def day(name: str, timeline: Sequence[Mapping[str, Any]], report: Mapping[str, Any]) -> str:
    """Return the bar of a channel with its axis; `page.js` makes it zoom.

    A rectangle's place is in seconds since the report's ``start``: browsers draw nothing beyond
    2**25 units, which is less than the milliseconds of a day.
    """
    begins, ends = (milliseconds(report[end]) for end in ("start", "end"))
    numbers = {label: n for n, label in enumerate(report["labels"])}
    places = ((milliseconds(run["start"]) - begins) / 1000 for run in timeline)
    rects = "".join(
        f'<rect class="l{numbers[run["label"]]}" x="{x}" width="{run["seconds"]}" height="1"/>'
        for x, run in zip(places, timeline, strict=True)
    )
    return (
        f'<figure class="day"><svg class="day" viewBox="0 0 {max(1, ends - begins) / 1000} 1" '
        f'preserveAspectRatio="none" tabindex="0" role="img" '
        f'aria-label="What {escape(name)} held, by time; the tables below say the same">'
        f'{rects}</svg><div class="ticks">{"".join(_ticks(report))}</div></figure>'
    )


def _ticks(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield times of day on whole steps of the clock, at their share of the width."""
    start, end = (datetime.fromisoformat(report[name]) for name in ("start", "end"))
    span_s = (end - start).total_seconds()
    minutes = next((m for m in STEPS_MIN if span_s / 60 / m < MOST_TICKS), STEPS_MIN[-1])
    step = timedelta(minutes=minutes)
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    at = midnight + -((midnight - start) // step) * step
    while at < end:
        share = (at - start).total_seconds() / span_s
        yield f'<span style="left:{share:.4%}">{at:%H:%M}</span>'
        at += step


def shares(seconds: Mapping[str, float], labels: Sequence[str]) -> str:
    """Return one bar of the shares of each label."""
    whole, at, rects = sum(seconds.values()) or 1.0, 0.0, []
    for number, label in enumerate(labels):
        width = 100 * seconds[label] / whole
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
