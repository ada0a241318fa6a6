"""The report of a day as tables for a terminal, and its minutes as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rtclassify.cli.colours import COLOURS, colour_of
from rtclassify.cli.formats import clock_time

NOTHING = ("no-capture", "unknown")
HEADINGS = {
    "speech+music": "both",
    "digital-silence": "digital\nsilence",
    "no-capture": "no\ncapture",
}
SHOWN_SILENCES = 5
SHOWN_ALARMS = 20


def show(report: Mapping[str, Any], console: Console) -> None:
    """Print the minutes of each channel, what else is to be said of it, and the alarms."""
    console.print(
        Text.assemble(
            (report["day"], "bold"),
            f"   {_time(report['start'])} – {_time(report['end'])} {report['tz']}, "
            f"{_count(len(report['starts']), 'start')} of the daemon, "
            f"{_count(report['missing_messages'], 'message')} missing",
        ),
        soft_wrap=True,
    )
    for name, channel in report["channels"].items():
        console.print()
        console.print(_minutes(name, channel, report["labels"]))
        for fact in _facts(channel):
            console.print(f"  {fact}", highlight=False, soft_wrap=True)
    if report["alarms"]:
        console.print()
        console.print(_alarms(report["alarms"]))
        if len(report["alarms"]) > SHOWN_ALARMS:
            more = len(report["alarms"]) - SHOWN_ALARMS
            console.print(f"and {more} more; --json and --html have all", style="dim")
    console.print(
        "Minutes of final labels. no capture: the daemon said so; unknown: it did not run, or "
        "nothing was labelled.",
        style="dim",
        highlight=False,
    )


def minutes_csv(report: Mapping[str, Any]) -> str:
    """Return a row for each channel and hour, with a column of minutes for each label."""
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(["channel", "hour", *report["labels"]])
    for name, channel in report["channels"].items():
        for hour in channel["hours"]:
            minutes = [round(seconds / 60, 4) for seconds in hour["seconds"].values()]
            rows.writerow([name, hour["start"], *minutes])
    return out.getvalue()


def _minutes(name: str, channel: Mapping[str, Any], labels: list[str]) -> Table:
    shown = [x for x in labels if x in COLOURS or x in NOTHING or channel["seconds"][x]]
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column(Text(name, "bold not dim"), no_wrap=True)
    for label in shown:
        style = "dim" if label in NOTHING else colour_of(label)
        table.add_column(Text(HEADINGS.get(label, label), style), justify="right")
    for hour in channel["hours"]:
        table.add_row(
            f"{_time(hour['start'])[:5]}", *(_cell(hour["seconds"][label]) for label in shown)
        )
    total = [_cell(channel["seconds"][label]) for label in shown]
    table.add_row("in all", *total, style="bold")
    return table


def _cell(seconds: float) -> Text:
    return Text(f"{seconds / 60:.1f}") if seconds else Text("–", "dim")


def _facts(channel: Mapping[str, Any]) -> list[str]:
    music, error = channel["music"], channel["utc_err_ms"]
    share = "–" if music["share"] is None else f"{music['share']:.1%}"
    alone, under = clock_time(music["alone_s"]), clock_time(music["with_others_s"])
    facts = [
        f"music {share} of what was heard: {alone} alone, {under} with speech or others over it",
        f"{channel['lost_samples']:,} samples lost",
    ]
    if error["median"] is not None:
        facts.append(f"time of day within {error['median']} ms (median), {error['greatest']} ms")
    if channel["undated_labels"]:
        facts.append(f"{channel['undated_labels']:,} labels without a time, not counted")
    silences = channel["silences"][:SHOWN_SILENCES]
    return facts + [
        f"{each['label']} {clock_time(each['seconds'])} from {_time(each['start'])}"
        for each in silences
    ]


def _alarms(alarms: list[Mapping[str, Any]]) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0))
    for heading in ("alarm", "channel", "from", "lasted", ""):
        table.add_column(heading, no_wrap=heading != "")
    for alarm in alarms[:SHOWN_ALARMS]:
        lasted = clock_time(alarm["seconds"]) + ("" if alarm["cleared"] else " at least")
        cells = alarm["kind"], alarm["channel"], _time(alarm["start"]), lasted, alarm["sentence"]
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _time(instant: str) -> str:
    return instant[11:19]


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
