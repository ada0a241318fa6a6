"""How well probabilities rank, and whether they mean what they say."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rtclassify.evaluation.truth import Mask
from rtclassify.stream import Samples

BINS = 15


class Reliability(NamedTuple):
    """Answers in groups of similar probability.

    Args:
        ece: The expected calibration error: how far probabilities are from shares, on average.
        said: Mean probability of each group that is not empty.
        true: Share of it in which the label is present.
        frames: How many frames it holds.
    """

    ece: float
    said: list[float]
    true: list[float]
    frames: list[int]


def auc(present: Mask, scores: Samples) -> float | None:
    """Return the chance that a frame with the label scores above one without; ties are halves.

    None if all frames are of one sort. Both are of shape (n,).
    """
    positive, negative = scores[present], np.sort(scores[~present])
    if not len(positive) or not len(negative):
        return None
    below = np.searchsorted(negative, positive, side="left").astype(np.float64)
    upto = np.searchsorted(negative, positive, side="right")
    return float(np.mean(below + upto) / 2 / len(negative))


def reliability(present: Mask, scores: Samples) -> Reliability:
    """Group frames by probability in `BINS` equal steps; both are of shape (n,).

    Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities", AAAI 2015.
    """
    places = np.minimum((scores.astype(np.float64) * BINS).astype(int), BINS - 1)
    frames = np.bincount(places, minlength=BINS)
    full = frames > 0
    said = np.bincount(places, scores, BINS)[full] / frames[full]
    true = np.bincount(places, present, BINS)[full] / frames[full]
    gaps = np.abs(said - true) * frames[full]
    return Reliability(
        float(gaps.sum() / max(1, len(scores))),
        said.tolist(),
        true.tolist(),
        frames[full].tolist(),
    )
