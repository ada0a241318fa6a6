"""What is counted of each trial, and the figures that follow from sums of counts.

A trial becomes one row of integers. Figures of any group, and of any bootstrap draw of it, are
functions of the sum of its rows, so all draws are computed at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rtclassify.evaluation import events
from rtclassify.evaluation.trial import LABELS, Scored
from rtclassify.evaluation.truth import THRESHOLD, Counts, Mask, changes, judged, windows

Values = NDArray[np.float64]
Figures = Mapping[str, Values]

CELLS = ("hit", "false", "missed", "rest")
FIELDS = (
    "frames",
    "frames wrong",
    "windows",
    "windows wrong",
    *(f"frames {label} {cell}" for label in LABELS for cell in CELLS),
    *(f"windows {label} {cell}" for label in LABELS for cell in CELLS),
    *(f"events {label} {what}" for label in LABELS for what in ("true", "said", "matched")),
)
AT = {field: index for index, field in enumerate(FIELDS)}
RATES = tuple(f"{error}_{label}" for label in LABELS for error in ("missed", "false"))


def tally(scored: Scored) -> Counts:
    """Count one trial, shape (len(`FIELDS`),).

    Events are counted only where something begins or ends within the trial: a recording of one
    thing begins with it, and to find that is no achievement.
    """
    mask = judged(scored.truth)
    truth, answers = scored.truth == 1, scored.scores >= THRESHOLD
    whole = np.asarray(mask.all(axis=1))
    cut = list(windows(whole))
    true_windows, said_windows = _majorities(truth, whole, cut), _majorities(answers, whole, cut)
    all_of_them = np.ones_like(true_windows)
    frames, frame_cells = _cells(truth, answers, mask)
    wins, window_cells = _cells(true_windows, said_windows, all_of_them)
    found = np.zeros((len(LABELS), 3), np.int64)
    if changes(scored.truth):
        found = events.counts(scored.truth, scored.scores)
    return np.concatenate([frames, wins, frame_cells, window_cells, found.ravel()])


def _majorities(answers: Mask, whole: Mask, cut: Sequence[slice]) -> Mask:
    """Answer for each window as half of its judged frames do, shape (windows, labels)."""
    shares = [answers[window][whole[window]].mean(axis=0) for window in cut]
    return np.reshape(shares, (len(cut), len(LABELS))) >= THRESHOLD


def _cells(truth: Mask, answers: Mask, mask: Mask) -> tuple[Counts, Counts]:
    """Count all, those in which an answer is wrong, and each label's four cases."""
    whole = np.asarray(mask.all(axis=1))
    wrong = np.any(truth != answers, axis=1)
    cases = (truth & answers, ~truth & answers, truth & ~answers, ~truth & ~answers)
    cells = np.stack([np.sum(case & mask, axis=0) for case in cases], axis=1)
    return np.array([whole.sum(), (wrong & whole).sum()], np.int64), cells.ravel().astype(np.int64)


def figures(counts: Counts) -> dict[str, Values]:
    """Turn sums of rows, shape (…, len(`FIELDS`)), into figures of shape (…).

    A figure that nothing was there to measure is NaN. Errors, rates and shares are in [0, 1];
    ``bias_speech`` is the share of frames claimed to be speech less that of frames that are.
    """
    at = {field: counts[..., index].astype(np.float64) for field, index in AT.items()}
    found = {
        "frame_error": _over(at["frames wrong"], at["frames"]),
        "window_error": _over(at["windows wrong"], at["windows"]),
    }
    for label in LABELS:
        found |= _answers(at, label)
    found["balanced_error"] = _mean_of_known([found[rate] for rate in RATES])
    found["event_f1"] = _event_f1(at, LABELS)
    return found


def _answers(at: Mapping[str, Values], label: str) -> dict[str, Values]:
    """Compute the figures of one label."""
    found: dict[str, Values] = {}
    for unit, prefix in (("frames", ""), ("windows", "window_")):
        hit, false, missed, rest = (at[f"{unit} {label} {cell}"] for cell in CELLS)
        total = hit + false + missed + rest
        found |= {
            f"{prefix}accuracy_{label}": _over(hit + rest, total),
            f"{prefix}precision_{label}": _over(hit, hit + false),
            f"{prefix}recall_{label}": _over(hit, hit + missed),
            f"{prefix}f1_{label}": _over(2 * hit, 2 * hit + false + missed),
        }
        if unit == "frames":
            found[f"missed_{label}"] = _over(missed, hit + missed)
            found[f"false_{label}"] = _over(false, false + rest)
            found[f"bias_{label}"] = _over(false - missed, total)
    found[f"event_f1_{label}"] = _event_f1(at, [label])
    return found


def _event_f1(at: Mapping[str, Values], labels: Sequence[str]) -> Values:
    true, said, matched = (
        np.sum([at[f"events {label} {what}"] for label in labels], axis=0)
        for what in ("true", "said", "matched")
    )
    return _over(2 * matched, true + said)


def _over(part: Values, whole: Values) -> Values:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(whole > 0, part / whole, np.nan))


def _mean_of_known(values: list[Values]) -> Values:
    stacked = np.stack(values)
    known = ~np.isnan(stacked)
    return _over(np.where(known, stacked, 0.0).sum(axis=0), known.sum(axis=0).astype(np.float64))
