"""The report of an evaluation as one HTML file that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any

from rtclassify.evaluation import chapters
from rtclassify.evaluation.chapters import NAMES, section
from rtclassify.evaluation.worst import Window

MOST_ACROSS = 5
FEW_H = 0.5 / 60
"""Groups with less audio are too small to be called the weakest."""
MEANINGS = {
    "balanced_error": "mean of missed and false speech and music",
    "frame_error": "tenths of a second with an answer wrong",
    "window_error": "with an answer wrong, by majority",
    "event_f1": "beginnings found within half a second",
}


def page(report: Mapping[str, Any], worst: Sequence[Window], *, data: str) -> str:
    """Write the report.

    Args:
        report: What `rtclassify.evaluation.contest.hold` returns.
        worst: The worst windows of it, with their audio.
        data: What the recordings are called.
    """
    css = resources.files("rtclassify.evaluation").joinpath("page.css").read_text("utf-8")
    title = escape(report["model"])
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title} on {escape(data)}</title><style>{css}</style></head><body>"
        f"{''.join(_sections(report, worst, data))}</body></html>\n"
    )


def _sections(report: Mapping[str, Any], worst: Sequence[Window], data: str) -> Iterator[str]:
    yield _opening(report, data)
    yield _tiles(report)
    if "comparison" in report:
        yield chapters.comparison(report)
    yield chapters.conditions(report)
    yield chapters.sources(report)
    yield chapters.answers(report)
    yield chapters.calibration(report["calibration"])
    yield chapters.confusion(report["confusion"])
    yield chapters.worst_windows(worst)
    yield _reading()


def _opening(report: Mapping[str, Any], data: str) -> str:
    whole = report["all"]
    name, _, digest = report["model"].partition("@")
    small = f" <small>@{escape(digest)}</small>" if digest else ""
    sources, conditions = len(report["by_source"]), len(report["by_condition"])
    return (
        f'<header><p class="eyebrow">rtclassify evaluate · {escape(data)}</p>'
        f'<h1>{escape(name)}{small}</h1><p class="lead">{escape(_sentence(report))}</p>'
        f'<p class="meta">{whole["hours"]:.2f} h of audio · {whole["recordings"]:,} recordings · '
        f"{_count(sources, 'source')} · {_count(conditions, 'condition')}</p></header>"
    )


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _sentence(report: Mapping[str, Any]) -> str:
    right = 1 - (report["all"]["frame_error"] or 0.0)
    text = f"Right about both speech and music {right:.1%} of the time"
    groups = {**report["by_source"], **report["by_condition"]}
    judged = {
        name: group["frame_error"]
        for name, group in groups.items()
        if group["frame_error"] and group["hours"] >= FEW_H
    }
    if not judged:
        return f"{text}."
    weakest = max(judged, key=lambda name: judged[name])
    return f"{text}, and weakest on {weakest}, where {judged[weakest]:.0%} is wrong."


def _tiles(report: Mapping[str, Any]) -> str:
    whole = report["all"]
    tiles = [_headline(name, whole) for name in NAMES if whole[name] is not None]
    if whole["boundary_s"] is not None:
        boundaries = f"median of {whole['boundaries']:,} beginnings and ends"
        tiles.append(
            _tile(f"{whole['boundary_s']:.2f}<small> s</small>", "Boundary error", boundaries)
        )
    eces = report["calibration"]
    worse = max(said["ece"] for said in eces.values())
    each = ", ".join(f"{label} {said['ece']:.3f}" for label, said in eces.items())
    tiles.append(_tile(f"{worse:.3f}", "Calibration error", each))
    if report["cpu_s_per_hour"]:
        cost = f"{report['cpu_s_per_hour']:.0f}<small> s</small>"
        tiles.append(_tile(cost, "Cost", "of processor for an hour of audio"))
    across = math.ceil(len(tiles) / math.ceil(len(tiles) / MOST_ACROSS))
    return f'<div class="tiles" style="--across:{across}">{"".join(tiles)}</div>'


def _headline(name: str, group: Mapping[str, Any]) -> str:
    between = group["intervals"][name]
    inside = f"<br>95 %: {100 * between[0]:.1f} to {100 * between[1]:.1f}" if between else ""
    number = f"{100 * group[name]:.1f}<small> %</small>"
    return _tile(number, NAMES[name], MEANINGS[name] + inside)


def _tile(number: str, name: str, meaning: str) -> str:
    return (
        f'<div class="tile"><span class="number">{number}</span><b>{name}</b>'
        f'<span class="meta">{meaning}</span></div>'
    )


def _reading() -> str:
    words = {
        "frame": "a tenth of a second; it is wrong if either answer is, at threshold 0.5. Half a "
        "second is left out on both sides of every boundary, and silence is not judged.",
        "balanced error": "the mean of four shares: missed and false speech, missed and false "
        "music; of those that can be measured.",
        "missed, false": "the share of frames with it in which it was not heard, and of frames "
        "without it in which it was. Bars: missed to the left, false to the right.",
        "window": "five consecutive seconds, each answer by the majority of their frames.",
        "AUC": "the chance that a frame with it scores above a frame without it.",
        "event F1": "beginnings within 0.5 s, paired as sed_eval pairs them, in recordings in "
        "which something begins or ends.",
        "95 %": "what remains if recordings are drawn again at random, each as a whole.",
    }
    entries = "".join(f"<dt>{term}</dt><dd>{meaning}</dd>" for term, meaning in words.items())
    return section("How to read this", f"<dl>{entries}</dl>")
