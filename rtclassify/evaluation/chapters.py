"""The chapters of the report: what each shows, and how it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from rtclassify.evaluation import cells, charts, excerpts
from rtclassify.evaluation.trial import FRAME_S, LABELS
from rtclassify.evaluation.truth import KINDS
from rtclassify.evaluation.worst import Window

NAMES = {
    "balanced_error": "Balanced error",
    "frame_error": "Frames wrong",
    "window_error": "5 s windows wrong",
    "event_f1": "Event F1",
}


def section(title: str, *content: str) -> str:
    """Put a chapter under its title."""
    return f"<section><h2>{title}</h2>{''.join(content)}</section>"


def comparison(report: Mapping[str, Any]) -> str:
    """Set the two side by side: the headlines, and the balanced error under each condition."""
    compared = report["comparison"]
    whole = {NAMES[name]: sides for name, sides in compared["all"].items()}
    apart = {
        condition: sides["balanced_error"]
        for condition, sides in compared.items()
        if condition != "all"
    }
    note = (
        f'<p class="note">A is {escape(report["model"])}, B is {escape(report["other"]["model"])}. '
        "The difference is B less A, drawn with the interval in which it lies 95 % of the times "
        "that the recordings are drawn again; it is coloured where zero lies outside.</p>"
    )
    return section(
        f"Beside {escape(report['other']['model'])}", note, _compared("all conditions", whole),
        "<h3>Balanced error under each condition</h3>", _compared("condition", apart),
    )  # fmt: skip


def _compared(first: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a table of comparisons; where nothing could be measured, there is no row."""
    known = {name: row for name, row in rows.items() if row["difference"]["interval"]}
    ends = [abs(end) for row in known.values() for end in row["difference"]["interval"]]
    widest = max(ends, default=0.0) or 1.0
    head = f'<tr><th>{first}</th><th>A</th><th>B</th><th>B – A</th><th class="wide"></th></tr>'
    return cells.table([head], [_side_by_side(*row, widest) for row in known.items()])


def _side_by_side(name: str, row: Mapping[str, Any], widest: float) -> str:
    value, between = row["difference"]["value"], row["difference"]["interval"]
    sure = between[0] > 0 or between[1] < 0
    good = (value < 0) != (name == NAMES["event_f1"])
    css = ("better" if good else "worse") if sure else ""
    return (
        f"<tr><td>{escape(name)}</td>"
        f"{cells.percent(row['one']['value'])}{cells.percent(row['other']['value'])}"
        f'<td class="{css}">{cells.signed(value)}</td>'
        f'<td class="wide {css}">{charts.interval(value, between, widest)}</td></tr>'
    )


def conditions(report: Mapping[str, Any]) -> str:
    """Show the errors under each condition."""
    return section("Under each condition", cells.errors("condition", report["by_condition"]))


def answers(report: Mapping[str, Any]) -> str:
    """Show all figures of each answer."""
    return section("Each answer by itself", cells.answers(report))


def sources(report: Mapping[str, Any]) -> str:
    """Show the errors by source, the worst first, and by source and condition."""
    groups = report["by_source"]
    worst_first = sorted(groups, key=lambda name: -(groups[name]["frame_error"] or 0.0))
    parts = [cells.errors("source", {name: groups[name] for name in worst_first})]
    if len(report["by_condition"]) > 1:
        apart = report["by_source_and_condition"]
        parts.append("<h3>Frames with an answer wrong, by source and condition</h3>")
        parts.append(
            cells.matrix({name: apart[name] for name in worst_first}, list(report["by_condition"]))
        )
    return section("From each source", *parts)


def calibration(reliability: Mapping[str, Any]) -> str:
    """Show how far probabilities can be trusted."""
    plots = "".join(
        f"<figure><h3>{label}</h3>{charts.reliability(label, reliability[label])}"
        f"<figcaption>ECE {reliability[label]['ece']:.3f}</figcaption></figure>"
        for label in LABELS
    )
    note = (
        '<p class="note">How often it is there (upwards) where it was said to be so likely '
        "(rightwards). On the dashed line a probability means what it says; above it, it is "
        "there more often. The strip shows how many answers lie where.</p>"
    )
    return section(
        "Do probabilities mean what they say?", note, f'<div class="plots">{plots}</div>'
    )


def confusion(counts: Mapping[str, Any]) -> str:
    """Show what is heard as what, in all and by source."""
    rows = [
        f"<tr><td>{kind}</td>{_confused(index, counts)}</tr>"
        for index, (kind, counts) in enumerate(zip(KINDS, counts["rows_are_truth"], strict=True))
        if sum(counts)
    ]
    head = "".join(f"<th>{kind}</th>" for kind in KINDS)
    bars = [
        f'<tr><td>{escape(source)}</td><td class="left">{kind}</td>'
        f'<td class="wide">{charts.shares(counts)}</td></tr>'
        for source, table in counts["by_source"].items()
        for kind, counts in zip(KINDS, table, strict=True)
        if sum(counts)
    ]
    bars_head = '<tr><th>source</th><th class="left">it is</th><th class="left">heard as</th></tr>'
    key = "".join(f'<span class="{kind}">{kind}</span>' for kind in KINDS)
    return section(
        "What is taken for what",
        '<p class="note">Per cent of the frames that are of the kind at the left.</p>',
        cells.table([f"<tr><th>it is, heard as</th>{head}</tr>"], rows, css="confusion"),
        f'<h3>By source</h3><div class="key">{key}</div>',
        cells.table([bars_head], bars),
    )


def _confused(right: int, counts: Sequence[int]) -> str:
    total = sum(counts)
    return "".join(
        cells.percent(count / total, error=0.0 if index == right else count / total)
        for index, count in enumerate(counts)
    )


def worst_windows(windows: Sequence[Window]) -> str:
    """Show and play the worst windows."""
    key = "".join(f'<span class="{label}">{label}</span>' for label in LABELS)
    note = (
        '<p class="note">At most one of each recording. Under the spectrogram (50 Hz to half the '
        "rate, mel scale) bands show what is true, and lines the probabilities; a gap in a band "
        "is not judged.</p>"
    )
    figures = "".join(map(_window, windows))
    return section(
        f"The worst {len(windows)} windows", note, f'<div class="key">{key}</div>',
        f'<div class="worst">{figures}</div>',
    )  # fmt: skip


def _window(window: Window) -> str:
    name = escape("/".join(window.place.split("/")[-2:]))
    image = excerpts.spectrogram(window.audio, window.rate)
    start, end = window.start_s, window.start_s + len(window.truth) * FRAME_S
    where = f"{window.source} · {window.condition} · {charts.clock(start)} – {charts.clock(end)}"
    return (
        f'<figure><img src="{image}" alt="spectrogram">{charts.track(window.truth, window.scores)}'
        f'<figcaption><b title="{escape(window.place)}">{name}</b>{escape(where)}'
        f"<br>{_verdict(window)}"
        f'<audio controls preload="none" src="{excerpts.sound(window.audio, window.rate)}">'
        "</audio></figcaption></figure>"
    )


def _verdict(window: Window) -> str:
    """Say what is in a window and what was heard."""
    present = [label for label, column in zip(LABELS, window.truth.T, strict=True) if 1 in column]
    means = zip(LABELS, window.scores.mean(axis=0), strict=True)
    heard = ", ".join(f'<b class="{label}">{label}</b> {mean:.2f}' for label, mean in means)
    return f"is {' and '.join(present) or 'neither'} · heard {heard}"
