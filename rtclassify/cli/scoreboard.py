"""The figures of an evaluation as tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rtclassify.cli.colours import colour_of

COLUMNS = (
    ("either\nwrong", "frame_error", ""),
    ("bal-\nanced", "balanced_error", ""),
    ("speech\nmissed", "missed_speech", "speech"),
    ("speech\nfalse", "false_speech", "speech"),
    ("music\nmissed", "missed_music", "music"),
    ("music\nfalse", "false_music", "music"),
    ("5 s\nwrong", "window_error", ""),
)
ANSWERS = ("accuracy", "precision", "recall", "f1", "auc", "window_f1", "event_f1")
BAD, POOR = 0.1, 0.02
"""Errors from here on are shown in red, and in yellow."""
ERRORS = ("missed", "false")
NAMES = {
    "balanced_error": "balanced error",
    "frame_error": "frames with an answer wrong",
    "window_error": "5 s windows with an answer wrong",
    "event_f1": "event F1, onsets within 0.5 s",
}
SHORT = {
    "balanced_error": "balanced error",
    "frame_error": "either wrong",
    "window_error": "5 s wrong",
    "event_f1": "event F1",
}


def show(report: Mapping[str, Any], console: Console) -> None:
    """Print the headline, the conditions, the sources and the comparison."""
    _headline(report, console)
    _answers(report, console)
    _table("condition", report["by_condition"], console)
    _table("source", report["by_source"], console)
    if "comparison" in report:
        _compared(report, console)
    console.print(
        "Per cent. Frames of 0.1 s at threshold 0.5; half a second is left out "
        "on both sides of every boundary.",
        style="dim",
        highlight=False,
    )


def _headline(report: Mapping[str, Any], console: Console) -> None:
    whole = report["all"]
    hours, recordings = whole["hours"], whole["recordings"]
    heading = Text.assemble(
        (report["model"], "bold"), f"   {hours:.2f} h of audio, {recordings:,} recordings"
    )
    console.print(heading, soft_wrap=True)
    facts = [f"{NAMES[name]} {_valued(name, whole)}" for name in NAMES]
    if whole["boundary_s"] is not None:
        facts.append(f"boundaries off by {whole['boundary_s']:.2f} s (median)")
    eces = (f"{label} {said['ece']:.3f}" for label, said in report["calibration"].items())
    facts.append(f"calibration error {', '.join(eces)}")
    if report["cpu_s_per_hour"]:
        facts.append(f"{report['cpu_s_per_hour']:.0f} s of processor for an hour of audio")
    for fact in facts:
        console.print(f"  {fact}", highlight=False, soft_wrap=True)


def _valued(name: str, group: Mapping[str, Any]) -> str:
    value, between = group[name], group["intervals"][name]
    if value is None:
        return "–"
    inside = f" ({between[0]:.1%} to {between[1]:.1%})" if between else ""
    return f"{value:.1%}{inside}"


def _answers(report: Mapping[str, Any], console: Console) -> None:
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("answer", no_wrap=True)
    for figure in ANSWERS:
        heading = figure.replace("window_", "5 s\n").replace("_", "\n")
        table.add_column(heading.replace("f1", "F1").replace("auc", "AUC"), justify="right")
    for heading in ("bias", "ECE"):
        table.add_column(heading, justify="right")
    for label, said in report["calibration"].items():
        cells = [_cell(f"{figure}_{label}", report["all"]) for figure in ANSWERS]
        bias = report["all"][f"bias_{label}"]
        shown = "–" if bias is None else f"{bias * 100:+.1f}"
        table.add_row(Text(label, colour_of(label)), *cells, shown, f"{said['ece']:.3f}")
    console.print()
    console.print(table)


def _table(title: str, groups: Mapping[str, Mapping[str, Any]], console: Console) -> None:
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column(title, no_wrap=True, overflow="ellipsis", max_width=26)
    table.add_column("min", justify="right")
    for heading, _, label in COLUMNS:
        table.add_column(Text(heading, colour_of(label) if label else "dim"), justify="right")
    for name, group in groups.items():
        cells = [_cell(figure, group) for _, figure, _ in COLUMNS]
        table.add_row(name, f"{group['hours'] * 60:.1f}", *cells)
    console.print()
    console.print(table)


def _cell(figure: str, group: Mapping[str, Any]) -> Text:
    value = group[figure]
    if value is None:
        return Text("–", "dim")
    error = value if figure.startswith(ERRORS) or figure.endswith("error") else 1 - value
    style = "red" if error >= BAD else "yellow" if error >= POOR else ""
    return Text(f"{value * 100:.1f}", style)


def _compared(report: Mapping[str, Any], console: Console) -> None:
    one, other = report["model"], report["other"]["model"]
    console.print()
    console.print(f"{other} beside {one}", style="bold", highlight=False, soft_wrap=True)
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0))
    for heading in ("condition", ""):
        table.add_column(heading, no_wrap=True)
    for heading in ("first", "second", "change", "95 % between"):
        table.add_column(heading, justify="right", no_wrap=True)
    for condition, compared in report["comparison"].items():
        for name in SHORT if condition == "all" else ("balanced_error",):
            if compared[name]["difference"]["value"] is not None:
                table.add_row(condition, SHORT[name], *_sides(name, compared[name]))
    console.print(table)


def _sides(name: str, sides: Mapping[str, Any]) -> Sequence[Text]:
    difference, between = sides["difference"]["value"], sides["difference"]["interval"]
    sure = between is not None and (between[0] > 0 or between[1] < 0)
    better = (difference > 0) == (name == "event_f1")
    style = ("green" if better else "red") if sure else ""
    return [
        Text(f"{sides['one']['value'] * 100:.1f}"),
        Text(f"{sides['other']['value'] * 100:.1f}"),
        Text(f"{difference * 100:+.1f}", style),
        Text(f"{between[0] * 100:+.1f} … {between[1] * 100:+.1f}" if between else "–", style),
    ]
