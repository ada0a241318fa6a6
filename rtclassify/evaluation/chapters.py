"""The chapters of the report: what each shows, and how it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from rtclassify.evaluation import cells, charts, excerpts
from rtclassify.evaluation.trial import FRAME_S, LABELS
from rtclassify.evaluation.truth import KINDS
from rtclassify.evaluation.worst import Window

LOW_IS_GOOD = {"balanced_error", "frame_error", "window_error"}
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
    """Set the two side by side."""
    one, other = escape(report["model"]), escape(report["other"]["model"])
    rows = [
        _compared(condition, name, sides[name])
        for name in NAMES
        for condition, sides in report["comparison"].items()
        if sides[name]["difference"]["value"] is not None
    ]
    head = (
        '<tr><th></th><th class="left">condition</th>'
        f"<th>{one}</th><th>{other}</th><th>difference</th><th>95 % between</th></tr>"
    )
    note = (
        '<p class="note">The second less the first. Coloured where zero lies outside the '
        "interval, which comes from drawing the recordings again a thousand times.</p>"
    )
    return section(f"Beside {other}", note, cells.table([head], rows))


def _compared(condition: str, name: str, sides: Mapping[str, Any]) -> str:
    difference, between = sides["difference"]["value"], sides["difference"]["interval"]
    css, inside = "", "–"
    if between:
        inside = f"{100 * between[0]:+.1f} … {100 * between[1]:+.1f}"
        sure = between[0] > 0 or between[1] < 0
        css = ("better" if (difference < 0) == (name in LOW_IS_GOOD) else "worse") if sure else ""
    whole = condition == "all"
    return (
        f'<tr class="{"whole" if whole else ""}"><td>{NAMES[name] if whole else ""}</td>'
        f'<td class="left">{escape(condition)}</td>'
        f"{cells.percent(sides['one']['value'])}{cells.percent(sides['other']['value'])}"
        f'<td class="{css}">{100 * difference:+.1f}</td><td>{inside}</td></tr>'
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
