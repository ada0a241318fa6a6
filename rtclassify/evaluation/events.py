"""Events: did each stretch of speech and of music begin where it begins?

An onset that was found is one with an onset of the same label within half a second, each used
once, as many as can be paired: the event-based measure of sed_eval with its optimal matching, a
collar of 0.5 s and offsets left out.

Mesaros, Heittola and Virtanen, "Metrics for polyphonic sound event detection", Applied Sciences
6(6), 2016.
"""

from __future__ import annotations

import numpy as np

from rtclassify.evaluation.trial import FRAME_S
from rtclassify.evaluation.truth import THRESHOLD, Counts, Mask, continued, runs
from rtclassify.stream import Samples

COLLAR_FRAMES = round(0.5 / FRAME_S)
SHORTEST_FRAMES = round(0.3 / FRAME_S)
"""Shorter flickers of a score are no events, and shorter gaps do not part them."""
LOST_S = 5.0
"""The error of a boundary that was not found within as much."""


def counts(truth: Samples, scores: Samples) -> Counts:
    """Count each label's events, shape (labels, 3): true ones, claimed ones, matched ones."""
    rows = []
    for present, claimed in _columns(truth, scores):
        true, said = runs(present)[:, 0], runs(claimed)[:, 0]
        rows.append((len(true), len(said), matched(true, said, COLLAR_FRAMES)))
    return np.array(rows, np.int64)


def boundary_errors(truth: Samples, scores: Samples) -> list[float]:
    """Return how far each boundary of the truth is from the nearest claimed one, in seconds.

    Beginnings are compared with beginnings and ends with ends; the first and the last frame of
    the timeline are no boundaries.
    """
    errors = []
    for present, claimed in _columns(truth, scores):
        true, said = runs(present), runs(claimed)
        for side, outside in ((0, 0), (1, len(present))):
            for at in true[:, side][true[:, side] != outside]:
                distance = np.min(np.abs(said[:, side] - at), initial=LOST_S / FRAME_S)
                errors.append(float(distance) * FRAME_S)
    return errors


def matched(true: Counts, said: Counts, collar: int) -> int:
    """Count the most pairs of onsets that lie within `collar` of each other, each used once.

    Both are sorted. On a line, pairing the earliest that fit is optimal.
    """
    pairs = at = 0
    for onset in true:
        while at < len(said) and said[at] < onset - collar:
            at += 1
        if at < len(said) and said[at] <= onset + collar:
            pairs, at = pairs + 1, at + 1
    return pairs


def steadied(claimed: Mask) -> Mask:
    """Close gaps and then drop runs that are shorter than `SHORTEST_FRAMES`."""
    steady = claimed.copy()
    for start, end in runs(~steady):
        if end - start < SHORTEST_FRAMES and start > 0 and end < len(steady):
            steady[start:end] = True
    for start, end in runs(steady):
        if end - start < SHORTEST_FRAMES:
            steady[start:end] = False
    return steady


def _columns(truth: Samples, scores: Samples) -> list[tuple[Mask, Mask]]:
    """Return what is present and what is claimed, label by label."""
    present, claimed = continued(truth) == 1, scores >= THRESHOLD
    return [(true, steadied(said)) for true, said in zip(present.T, claimed.T, strict=True)]
