"""The report of a day as one HTML file that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any

from rtclassify.evaluation.cells import table
from rtclassify.reports import bars

MOST_TILES = 5


def page(report: Mapping[str, Any], colour_of: Callable[[str], str]) -> str:
    """Write the page.

    Args:
        report: What `rtclassify.reports.day.report` returns.
        colour_of: The colour of a label, as ``#rrggbb``.
    """
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(report['day'])}</title><style>{_file('evaluation', 'page.css')}"
        f"{_file('reports', 'page.css')}{bars.colours(report['labels'], colour_of)}</style></head>"
        f'<body>{"".join(_sections(report))}<div id="tip" role="status" hidden></div>'
        f'<script type="application/json" id="view">{_view(report)}</script>'
        f"<script>{_file('reports', 'page.js')}</script></body></html>\n"
    )


def _file(room: str, name: str) -> str:
    return resources.files(f"rtclassify.{room}").joinpath(name).read_text("utf-8")


def _view(report: Mapping[str, Any]) -> str:
    said = {
        "start": bars.milliseconds(report["start"]),
        "end": bars.milliseconds(report["end"]),
        "midnight": bars.midnight_of(report),
        "tz": report["tz"],
        "labels": report["labels"],
        "strip": bars.STRIP,
    }
    return json.dumps(said).replace("<", "\\u003c")


def _sections(report: Mapping[str, Any]) -> Iterator[str]:
    starts = len(report["starts"])
    yield (
        f'<header><p class="eyebrow">rtclassify report · {escape(report["journal"])}</p>'
        f'<h1>{escape(report["day"])}</h1><p class="meta">{_clock(report["start"])} to '
        f"{_clock(report['end'])} {escape(report['tz'])} · {_count(starts, 'start')} of the "
        f"daemon · {_count(report['missing_messages'], 'message')} missing</p></header>"
    )
    yield bars.key(report["labels"])
    yield (
        '<p class="note screen">Wheel or + and - zoom, dragging or the arrow keys move, a double '
        "click or 0 shows the whole day again; all channels move together.</p>"
    )
    for name, channel in report["channels"].items():
        alarms = [alarm for alarm in report["alarms"] if alarm["channel"] == name]
        yield _channel(name, channel, alarms, report)
    yield _reading()


def _channel(
    name: str,
    channel: Mapping[str, Any],
    alarms: Sequence[Mapping[str, Any]],
    report: Mapping[str, Any],
) -> str:
    parts = [
        f"<h2>{escape(name)}</h2>",
        bars.day(name, alarms, report),
        _tiles(channel, alarms),
        _hours(channel, report["labels"]),
    ]
    if alarms:
        parts += ["<h3>Alarms</h3>", _alarms(alarms)]
    if channel["silences"]:
        parts += ["<h3>Longest silences</h3>", _silences(channel["silences"])]
    return f"<section>{''.join(parts)}</section>"


def _tiles(channel: Mapping[str, Any], alarms: Sequence[Any]) -> str:
    music, error, said = channel["music"], channel["utc_err_ms"], channel["seconds"]
    share = "–" if music["share"] is None else f"{100 * music['share']:.1f}<small> %</small>"
    under_s = f"{length(music['alone_s'])} alone, {length(music['with_others_s'])} under others"
    silence = max((each["seconds"] for each in channel["silences"]), default=0.0)
    tiles = [
        (share, "Music", f"of what was heard: {under_s}"),
        (length(said["speech"] + said["speech+music"]), "Speech", "with and without music"),
        (length(silence), "Longest silence", _count(len(alarms), "alarm")),
        (length(said["no-capture"] + said["unknown"]), "Not heard",
         f"{channel['lost_samples']:,} samples lost"),
    ]  # fmt: skip
    if error["median"] is not None:
        tiles.append((f"{error['median']}<small> ms</small>", "Clock error",
                      f"median; at most {error['greatest']} ms"))  # fmt: skip
    shown = "".join(
        f'<div class="tile"><span class="number">{number}</span><b>{what}</b>'
        f'<span class="meta">{meaning}</span></div>'
        for number, what, meaning in tiles
    )
    return f'<div class="tiles" style="--across:{MOST_TILES}">{shown}</div>'


def _hours(channel: Mapping[str, Any], labels: Sequence[str]) -> str:
    shown = [label for label in labels if channel["seconds"][label]]
    head = "".join(f"<th>{escape(label)}</th>" for label in shown)
    hours = [(_clock(h["start"])[:5], h["seconds"]) for h in channel["hours"]]
    rows = [
        f'<tr><td>{start}</td>{_minutes(seconds, shown)}<td class="wide">'
        f"{bars.hour(seconds, labels)}</td></tr>"
        for start, seconds in hours
    ]
    rows.append(f"<tr><td>in all</td>{_minutes(channel['seconds'], shown)}<td></td></tr>")
    return table([f"<tr><th>minutes</th>{head}<th></th></tr>"], rows, css="hours")


def _minutes(seconds: Mapping[str, float], shown: Sequence[str]) -> str:
    cells = (f"{seconds[label] / 60:.1f}" if seconds[label] else "–" for label in shown)
    return "".join(f"<td>{cell}</td>" for cell in cells)


def _alarms(alarms: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        f"<tr><td>{escape(a['kind'])}</td><td>{_clock(a['start'])}</td>"
        f"<td>{length(a['seconds'])}{'' if a['cleared'] else ' at least'}</td>"
        f'<td class="left">{escape(a["sentence"])}</td></tr>'
        for a in alarms
    ]
    head = '<tr><th>kind</th><th>from</th><th>lasted</th><th class="left">what was said</th></tr>'
    return table([head], rows)


def _silences(silences: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        f"<tr><td>{escape(s['label'])}</td><td>{_clock(s['start'])}</td>"
        f"<td>{_clock(s['end'])}</td><td>{length(s['seconds'])}</td></tr>"
        for s in silences
    ]
    return table(["<tr><th></th><th>from</th><th>to</th><th>lasted</th></tr>"], rows)


def _reading() -> str:
    words = {
        "minutes": "of final labels, each hop's audio counted once, cut at the border of an hour.",
        "music": "labels with music in them, of the time that has a label. It says how long music "
        "was heard, not which; and it is as right as the model is.",
        "no-capture": "the daemon said that nothing arrived.",
        "unknown": "the daemon did not run, or audio was lost or too short to be labelled.",
    }
    entries = "".join(f"<dt>{term}</dt><dd>{meaning}</dd>" for term, meaning in words.items())
    return f"<section><h2>How to read this</h2><dl>{entries}</dl></section>"


def length(seconds: float) -> str:
    """Return a length for people: ``0:09``, ``12:30`` or ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _clock(instant: str) -> str:
    return instant[11:19]


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
