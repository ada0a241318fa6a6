"""Drawings of an evaluation as SVG that takes its colours from the page.

Colours are the classes ``speech``, ``music``, ``both`` and ``other`` of ``page.css``, so that a
drawing is readable on light and on dark ground.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rtclassify.evaluation.trial import FRAME_S, LABELS, UNHEARD
from rtclassify.evaluation.truth import KINDS, runs
from rtclassify.stream import Samples

PLOT, STRIP, LEFT, TOP = 220, 44, 44, 8
"""Sizes of a reliability plot, in SVG's units: the square, the strip below, and the margins."""
TRACK_WIDTH, TRACK_HEIGHT, TRUTH_HEIGHT = 500, 74, 7
SIDE = 60
"""Width of one side of an error bar."""
WIDEST_ERROR = 0.3
FOREST = 400
"""Width of the drawing of an interval."""


def reliability(label: str, said: Mapping[str, Any]) -> str:
    """Draw how often a label is present (upwards) against how likely it was said to be.

    The strip below shows how many answers there are, on a scale of roots.
    """
    points = [
        (LEFT + PLOT * x, TOP + PLOT * (1 - y))
        for x, y in zip(said["said"], said["true"], strict=True)
    ]
    most = max(said["frames"], default=1)
    heights = [STRIP * (count / most) ** 0.5 for count in said["frames"]]
    base = TOP + PLOT + 34 + STRIP
    bars = "".join(
        f'<rect x="{x - 4:.1f}" y="{base - height:.1f}" width="8" height="{height:.1f}" rx="1.5">'
        f"<title>{count:,} answers</title></rect>"
        for (x, _), height, count in zip(points, heights, said["frames"], strict=True)
    )
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.6"/>' for x, y in points)
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    right, bottom = LEFT + PLOT, TOP + PLOT
    return (
        f'<svg class="{label}" viewBox="0 0 {right + 12} {base + 4}" role="img" '
        f'aria-label="Reliability of {label}">{_grid()}'
        f'<line class="ideal" x1="{LEFT}" y1="{bottom}" x2="{right}" y2="{TOP}"/>'
        f'<polyline class="line" points="{line}"/><g class="fill">{dots}</g>'
        f'<g class="fill faint">{bars}</g></svg>'
    )


def _grid() -> str:
    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = LEFT + PLOT * share, TOP + PLOT * (1 - share)
        parts.append(
            f'<line class="grid" x1="{LEFT}" y1="{y}" x2="{LEFT + PLOT}" y2="{y}"/>'
            f'<line class="grid" x1="{x}" y1="{TOP}" x2="{x}" y2="{TOP + PLOT}"/>'
            f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{share:.0%}</text>'
            f'<text x="{x}" y="{TOP + PLOT + 16}" text-anchor="middle">{share:.0%}</text>'
        )
    return "".join(parts)


def error_bar(label: str, missed: float | None, false: float | None) -> str:
    """Draw the missed share to the left and the false share to the right of a middle line.

    Bars are roots of the shares, full at `WIDEST_ERROR`, so that small errors can be seen.
    """
    left, right = (SIDE * min(1.0, (rate or 0) / WIDEST_ERROR) ** 0.5 for rate in (missed, false))
    return (
        f'<svg class="bar {label}" viewBox="0 0 {2 * SIDE} 14" aria-hidden="true">'
        f'<rect class="hollow" x="{SIDE - left:.1f}" y="3" width="{left:.1f}" height="8"/>'
        f'<rect class="fill" x="{SIDE}" y="3" width="{right:.1f}" height="8"/>'
        f'<line class="axis" x1="{SIDE}" y1="0" x2="{SIDE}" y2="14"/></svg>'
    )


def interval(value: float, between: Sequence[float], widest: float) -> str:
    """Draw a value and the interval around it, beside zero in the middle; `widest` is the edge."""
    x, low, high = (FOREST * (1 + at / widest) / 2 for at in (value, *between))
    return (
        f'<svg class="forest" viewBox="-5 0 {FOREST + 10} 14" role="img">'
        f"<title>{100 * between[0]:+.1f} to {100 * between[1]:+.1f}</title>"
        f'<line class="axis" x1="{FOREST / 2}" y1="0" x2="{FOREST / 2}" y2="14"/>'
        f'<line class="whisker" x1="{low:.1f}" y1="7" x2="{high:.1f}" y2="7"/>'
        f'<circle cx="{x:.1f}" cy="7" r="3.6"/></svg>'
    )


def shares(counts: Sequence[int]) -> str:
    """Draw how what is of one kind was answered: a bar of the shares of `KINDS`."""
    total = sum(counts)
    at, parts = 0.0, []
    for kind, count in zip(KINDS, counts, strict=True):
        width = 100 * count / total
        if count:
            said = f"{count / total:.1%} heard as {kind}"
            parts.append(
                f'<rect class="fill {kind}" x="{at:.2f}%" y="0" width="{width:.2f}%" height="12">'
                f"<title>{said}</title></rect>"
            )
        at += width
    return f'<svg class="shares" height="12" role="img">{"".join(parts)}</svg>'


def track(truth: Samples, scores: Samples) -> str:
    """Draw a window's scores over time, and above them, as bands, what is true when."""
    bands = "".join(
        _band(truth[:, index], label, index * (TRUTH_HEIGHT + 2))
        for index, label in enumerate(LABELS)
    )
    top = len(LABELS) * (TRUTH_HEIGHT + 2) + 4
    height = TRACK_HEIGHT - top - 2
    lines = "".join(
        f'<polyline class="line {label}" points="{_points(scores[:, index], top, height)}"/>'
        for index, label in enumerate(LABELS)
    )
    middle = top + height / 2
    return (
        f'<svg class="track" viewBox="0 0 {TRACK_WIDTH} {TRACK_HEIGHT}" '
        f'preserveAspectRatio="none" aria-hidden="true">{bands}'
        f'<line class="ideal" x1="0" y1="{middle}" x2="{TRACK_WIDTH}" y2="{middle}"/>{lines}</svg>'
    )


def _band(truth: Samples, label: str, y: float) -> str:
    parts = [f'<rect class="empty" x="0" y="{y}" width="{TRACK_WIDTH}" height="{TRUTH_HEIGHT}"/>']
    scale = TRACK_WIDTH / len(truth)
    for value, css in ((1.0, f"fill {label}"), (UNHEARD, "unknown")):
        parts += [
            f'<rect class="{css}" x="{start * scale:.1f}" y="{y}" '
            f'width="{(end - start) * scale:.1f}" height="{TRUTH_HEIGHT}"/>'
            for start, end in runs(truth == value)
        ]
    return "".join(parts)


def _points(scores: Samples, top: float, height: float) -> str:
    """Return the middles of frames at the heights of their scores."""
    across = (np.arange(len(scores)) + 0.5) * TRACK_WIDTH / len(scores)
    up = top + height * (1 - scores)
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, up, strict=True))


def clock(seconds: float) -> str:
    """Return ``m:ss.t``."""
    minutes, rest = divmod(round(seconds / FRAME_S), round(60 / FRAME_S))
    return f"{minutes}:{rest * FRAME_S:04.1f}"
