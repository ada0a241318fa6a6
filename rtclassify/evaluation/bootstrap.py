"""How sure a figure is: intervals from drawing the recordings again, with replacement.

Recordings are drawn whole, with all their conditions, because their frames are not independent.
Both sides of a comparison are drawn alike, so the difference has an interval of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rtclassify.evaluation.tally import Figures, Values, figures
from rtclassify.evaluation.truth import Counts

DRAWS = 1_000
SEED = 0
COVERAGE = 0.95

Interval = tuple[float, float]


def drawn(names: Sequence[str], rows: Counts) -> Figures:
    """Return the figures of `DRAWS` draws of the recordings, each of shape (`DRAWS`,).

    Args:
        names: The recording that each row is of; the same names give the same draws.
        rows: Counts, shape (n, fields).
    """
    unique, places = np.unique(np.array(names), return_inverse=True)
    sums = np.zeros((len(unique), rows.shape[1]), np.int64)
    np.add.at(sums, places, rows)
    rng = np.random.default_rng(SEED)
    weights = rng.multinomial(len(unique), np.full(len(unique), 1 / len(unique)), size=DRAWS)
    return figures(weights @ sums)


def interval(values: Values) -> Interval | None:
    """Return the middle `COVERAGE` of the draws; None if there is nothing to be unsure of."""
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    low, high = np.quantile(known, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return float(low), float(high)
