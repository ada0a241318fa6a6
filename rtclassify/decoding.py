"""What most likely was going on, by the answers before and after each cell.

A *state* says of every answer whether it is yes. What a network says of neighbouring cells it says
of almost the same audio, so a second of it counts as one piece of evidence, and states last. The
probability of each state in each cell follows from all cells before it and those known after it by
the forward-backward algorithm (Rabiner, "A tutorial on hidden Markov models and selected
applications in speech recognition", Proceedings of the IEEE 77(2), 1989).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from rtclassify.overlap import Answers, Numbers

NO, YES = -2.0, 3.0
"""Log-odds beyond which a cell is no better evidence: probabilities of 12 and 95 %. A no counts for
less because pauses within speech and music are one, too."""
PER_S = 2.0
"""What a second of cells counts for, in cells that know nothing of each other."""
LASTS_S = 30.0
"""How long a state lasts, in the mean."""
SUREST = 4.0
"""Log-odds that the cells before and after are worth at most: a probability of 98 %."""
TOGETHER = 10
"""Later cells are taken so many at once: where among them something changes hardly matters."""


class Decoder:
    """Decide the cells of many channels, as many as are final, by them and by what came after.

    An answer's log-odds are the mean of what its own cell says and of what the chain of cells says.

    Args:
        channels: How many there are.
        tails_s: For how many seconds each answer outlasts what it is of.
        cell_s: Seconds in a cell.
    """

    def __init__(self, channels: int = 1, *, tails_s: Sequence[float], cell_s: float) -> None:
        self._tails = [round(tail_s / cell_s) for tail_s in tails_s]
        self._states = np.array([*product([0.0, 1.0], repeat=len(tails_s))])
        self._weight = cell_s * PER_S
        self._change = cell_s / LASTS_S / (len(self._states) - 1)
        self._belief = np.full((len(self._states), channels), 1 / len(self._states))

    def reset(self, channel: int = 0) -> None:
        """Forget a channel's cells: what follows does not continue them."""
        self._belief[:, channel] = 1 / len(self._states)

    def decide(self, channels: Numbers, answers: Answers, *, final: int) -> Answers:
        """Say how probable each answer is in the first `final` cells of some channels.

        Args:
            channels: Distinct.
            answers: Probabilities of cells, shape (channels, cells, labels): those that follow the
                last ones that were final, and all that is known of later ones.
            final: How many of them will not be asked about again.

        Returns:
            Probabilities, shape (channels, final, labels).
        """
        if not final:
            return answers[:, :0]
        odds = log_odds(answers.transpose(1, 2, 0))
        wanted = min(final + max(self._tails), len(odds))
        chain = self._chain(channels, np.clip(odds, NO, YES), wanted, final)
        agreed = (odds[:wanted] + np.clip(chain, -SUREST, SUREST)) / 2
        probs = 1 / (1 + np.exp(-agreed.transpose(2, 0, 1)))
        return without_tails(probs, self._tails)[:, :final]

    def _chain(self, channels: Numbers, odds: Answers, wanted: int, final: int) -> Answers:
        """Return each answer's log-odds by all cells, and remember where the final ones end.

        The shares of the states are right up to a factor. They are followed forwards from what was
        believed and backwards from the end at once: it is the same step.

        Args:
            channels: Distinct.
            odds: The log-odds that count, shape (cells, labels, channels).
            wanted: How many cells are asked about.
            final: How many of these are final.

        Returns:
            Log-odds, shape (wanted, labels, channels).
        """
        starts, apart = _steps(wanted, len(odds))
        evidence = self._states @ (np.add.reduceat(odds, starts) * self._weight)
        likely = np.exp(evidence - np.maximum.reduce(evidence, axis=1, keepdims=True))
        both_ways = np.stack((likely, likely[::-1]), axis=1)
        shares = np.array((self._belief[:, channels], np.ones_like(likely[0])))
        for step, change in zip(both_ways, self._change * apart, strict=True):
            moved = shares / np.add.reduce(shares, axis=1, keepdims=True) + change
            shares = np.multiply(step, moved, out=step)
        forwards, backwards = both_ways[:, 0], both_ways[::-1, 1]
        self._belief[:, channels] = forwards[final - 1]
        states = (forwards * backwards / likely)[:wanted]
        return np.asarray(np.log((self._states.T @ states) / ((1 - self._states.T) @ states)))


@cache
def _steps(one_by_one: int, cells: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return where steps through cells start, and how many cells lie before each.

    Those are between it and the step before, forwards and backwards; shape (steps, 2, 1, 1).
    """
    starts = np.array([*range(one_by_one), *range(one_by_one, cells, TOGETHER)])
    apart = np.diff(starts, prepend=-1)
    return starts, np.stack([apart, np.roll(apart[::-1], 1)], axis=1)[..., np.newaxis, np.newaxis]


def log_odds(probs: Answers) -> Answers:
    """Return the logarithm of how much more probable than not."""
    p = np.clip(probs, 1e-9, 1 - 1e-9)
    return np.asarray(np.log(p / (1 - p)))


def without_tails(answers: Answers, tails: Sequence[int]) -> Answers:
    """Let a yes count as far as it holds for its answer's tail, which is heard after the end.

    Args:
        answers: Probabilities of cells, shape (..., cells, labels).
        tails: Cells, of each label.

    Returns:
        The least of each answer and of those in its tail, as far as they are known.
    """
    least = answers.copy()
    for label, tail in enumerate(tails):
        for later in range(1, min(tail, answers.shape[-2] - 1) + 1):
            mine = least[..., :-later, label]
            np.minimum(mine, answers[..., later:, label], out=mine)
    return least
