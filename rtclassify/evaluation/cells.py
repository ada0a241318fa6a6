"""Tables in HTML: cells that say a figure, and warm with the error that it shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from rtclassify.evaluation.charts import error_bar
from rtclassify.evaluation.trial import LABELS

HOTTEST = 0.25
"""Errors from here on have the full colour."""
BEST_IS_ONE = ("auc", "f1", "event", "precision", "recall", "accuracy")

PARTS = {
    "0.1 s frames": ("accuracy", "precision", "recall", "f1", "auc"),
    "5 s windows": ("window_accuracy", "window_precision", "window_recall", "window_f1"),
    "events": ("event_f1",),
}
"""Figures that each answer has by itself."""


def table(head: Iterable[str], rows: Iterable[str], *, css: str = "") -> str:
    """Put cells of a head (``th``) and rows (``tr``) together; wide ones scroll by themselves."""
    return (
        f'<div class="scroll"><table class="{css}"><thead>{"".join(head)}</thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def percent(value: float | None, *, error: float | None = None) -> str:
    """Return a cell of a share; `error` says how wrong it is, from 0 to 1."""
    if value is None:
        return '<td class="none">–</td>'
    heat = min(1.0, (error or 0.0) / HOTTEST) ** 0.7
    shown = f"{100 * value:.1f}"
    return (
        f'<td class="heat" style="--heat:{heat:.3f}">{shown}</td>' if heat else f"<td>{shown}</td>"
    )


def figure(name: str, group: Mapping[str, Any]) -> str:
    """Return the cell of a named figure of a group."""
    value = group[name]
    if value is None:
        return percent(None)
    good = any(name.removeprefix("window_").startswith(word) for word in BEST_IS_ONE)
    return percent(value, error=1 - value if good else value)


def errors(first: str, groups: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a table of errors, a row for each group."""
    labels = "".join(f'<th class="{label}" colspan="3">{label}</th>' for label in LABELS)
    rates = "<th>missed</th><th></th><th>false</th>" * len(LABELS)
    head = (
        f'<tr class="over"><th></th><th></th><th colspan="2">wrong</th>{labels}<th></th></tr>'
        f"<tr><th>{first}</th><th>minutes</th><th>either</th><th>balanced</th>{rates}"
        "<th>5 s wrong</th></tr>"
    )
    return table([head], [_errors_row(name, group) for name, group in groups.items()])


def _errors_row(name: str, group: Mapping[str, Any]) -> str:
    cells = [f"<td>{escape(name)}</td><td>{group['hours'] * 60:.1f}</td>"]
    cells += [figure(key, group) for key in ("frame_error", "balanced_error")]
    for label in LABELS:
        missed, false = group[f"missed_{label}"], group[f"false_{label}"]
        bar = error_bar(label, missed, false)
        cells += [
            percent(missed, error=missed),
            f'<td class="bars">{bar}</td>',
            percent(false, error=false),
        ]
    cells.append(figure("window_error", group))
    return f"<tr>{''.join(cells)}</tr>"


def answers(report: Mapping[str, Any]) -> str:
    """Return the table of all that is known of each answer by itself."""
    heads = "".join(f'<th colspan="{len(keys)}">{name}</th>' for name, keys in PARTS.items())
    names = "".join(f"<th>{_heading(key)}</th>" for keys in PARTS.values() for key in keys)
    head = (
        f'<tr class="over"><th></th>{heads}<th>time</th><th></th></tr>'
        f"<tr><th>answer</th>{names}<th>bias</th><th>ECE</th></tr>"
    )
    return table([head], [_answer(label, report) for label in LABELS])


def _heading(key: str) -> str:
    word = key.rpartition("_")[2]
    return word if len(word) > len("auc") else word.upper()


def _answer(label: str, report: Mapping[str, Any]) -> str:
    whole, ece = report["all"], report["calibration"][label]["ece"]
    cells = [figure(f"{key}_{label}", whole) for keys in PARTS.values() for key in keys]
    return (
        f'<tr><td><b class="{label}">{label}</b></td>{"".join(cells)}'
        f"{_bias(whole[f'bias_{label}'])}<td>{ece:.3f}</td></tr>"
    )


def _bias(value: float | None) -> str:
    return percent(None) if value is None else f"<td>{signed(value)}</td>"


def signed(value: float) -> str:
    """Return per cent with a sign."""
    return f"{100 * value:+.1f}".replace("-", "&minus;")


def matrix(groups: Mapping[str, Mapping[str, Mapping[str, Any]]], columns: Sequence[str]) -> str:
    """Return a table of frame errors, a row for each source, a column for each condition."""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    rows = []
    for name, row in groups.items():
        cells = [figure("frame_error", row[c]) if c in row else percent(None) for c in columns]
        rows.append(f"<tr><td>{escape(name)}</td>{''.join(cells)}</tr>")
    return table([f"<tr><th>source</th>{head}</tr>"], rows, css="matrix")
