"""The report of a day: the account of a journal's messages as names, numbers and times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from rtclassify.errors import UsageError
from rtclassify.reports.accounts import Account, Period
from rtclassify.reports.days import bounds, instant
from rtclassify.reports.reading import garbled, opened
from rtclassify.reports.tally import HOUR_MS, Tally
from rtclassify.reports.tracks import NO_CAPTURE, UNKNOWN, Stretch

USUAL = (
    "speech", "music", "speech+music", "other", "unsure", "silence", "digital-silence",
    NO_CAPTURE, UNKNOWN,
)  # fmt: skip
"""Columns of every report, in this order; what else a model answers comes after the labels."""


def report(path: Path, day: date | None, tz: ZoneInfo, channels: Collection[str]) -> dict[str, Any]:
    """Return the report of a day of the journal at `path`.

    Args:
        path: The journal; the daemon may write it meanwhile.
        day: Which, in `tz`; None for yesterday, or for the newest if there is nothing of that.
        tz: Whose days and hours count.
        channels: Those to report; none for all.

    Returns:
        What ``--json`` writes; see docs/reports.md.

    Raises:
        JournalError: If the journal is damaged.
        UsageError: If there is no journal, nothing of that day, or no such channel.
    """
    with opened(path) as journal, garbled(path):
        chosen = journal.choose(day, tz, today=datetime.now(tz).date())
        start_ms, end_ms = bounds(chosen, tz)
        period = Period(start_ms, *journal.covered(start_ms, end_ms))
        account = Account(period, channels)
        for row in journal.rows(start_ms, end_ms):
            account.take(row)
        account.finish()
    refuse_unknown(channels, account.tallies, chosen.isoformat())
    return {"journal": str(path), "day": chosen.isoformat(), **_said(account, period, tz)}


def refuse_unknown(wanted: Collection[str], known: Collection[str], when: str) -> None:
    """Make sure that every channel that is wanted is known.

    Raises:
        UsageError: If one is not.
    """
    for name in wanted:
        if name not in known:
            raise UsageError(
                f"The journal has nothing of a channel {name} in {when}; leave out --channel to "
                "see all."
            )


def _said(account: Account, period: Period, tz: ZoneInfo) -> dict[str, Any]:
    tallies = dict(sorted(account.tallies.items()))
    labels = _columns(tally.total() for tally in tallies.values())
    alarms = [
        {
            "channel": alarm.channel,
            "kind": alarm.kind,
            "start": instant(alarm.start, tz),
            "end": instant(alarm.end, tz),
            "seconds": (alarm.end - alarm.start) / 1000,
            "cleared": alarm.cleared,
            "sentence": alarm.sentence,
        }
        for alarm in account.alarms.between(period.start_ms, period.end_ms)
        if alarm.channel in tallies
    ]
    starts = [
        {"epoch": s.epoch, "first": instant(s.first_ms, tz), "last": instant(s.last_ms, tz)}
        for s in account.starts
    ]
    return {
        "tz": str(tz),
        "start": instant(period.start_ms, tz),
        "end": instant(period.end_ms, tz),
        "labels": labels,
        "channels": {name: _channel(t, labels, period, tz) for name, t in tallies.items()},
        "alarms": alarms,
        "starts": starts,
        "missing_messages": account.missing,
    }


def _columns(totals: Iterable[Counter[str]]) -> list[str]:
    own = {label for total in totals for label in total} - set(USUAL)
    return [*USUAL[:-2], *sorted(own), *USUAL[-2:]]


def _channel(tally: Tally, labels: Collection[str], period: Period, tz: ZoneInfo) -> dict[str, Any]:
    total = tally.total()
    median_ms, greatest_ms = tally.error_ms()
    return {
        "seconds": _seconds(total, labels),
        "hours": [
            {"start": instant(period.day_ms + hour * HOUR_MS, tz), "seconds": _seconds(t, labels)}
            for hour, t in sorted(tally.hours.items())
        ],
        "music": music(total),
        "silences": [_stretch(silence, tz) for silence in tally.silences()],
        "lost_samples": tally.lost,
        "undated_labels": tally.undated,
        "utc_err_ms": {"median": median_ms, "greatest": greatest_ms},
        "timeline": [_stretch(run, tz) for run in tally.runs],
    }


def music(total: Mapping[str, int]) -> dict[str, Any]:
    """Return seconds of music without and with others over it, and its share of what was heard."""
    alone = total.get("music", 0)
    parts = {label: ms for label, ms in total.items() if "music" in label.split("+")}
    heard = sum(ms for label, ms in total.items() if label not in (NO_CAPTURE, UNKNOWN))
    whole = sum(parts.values())
    return {
        "alone_s": alone / 1000,
        "with_others_s": (whole - alone) / 1000,
        "heard_s": heard / 1000,
        "share": whole / heard if heard else None,
    }


def _seconds(counted: Mapping[str, int], labels: Iterable[str]) -> dict[str, float]:
    return {label: counted.get(label, 0) / 1000 for label in labels}


def _stretch(stretch: Stretch, tz: ZoneInfo) -> dict[str, Any]:
    return {
        "start": instant(stretch.start, tz),
        "end": instant(stretch.end, tz),
        "seconds": (stretch.end - stretch.start) / 1000,
        "label": stretch.label,
    }
