"""What most likely was going on, by the answers before and after each cell.

A *state* says of every answer whether it is yes. What a network says of neighbouring cells it says
of almost the same audio, so a second of it counts as one piece of evidence, and states last. The
probability of each state in each cell follows from all cells before it and those known after it by
the forward-backward algorithm (Rabiner, "A tutorial on hidden Markov models and selected
applications in speech recognition", Proceedings of the IEEE 77(2), 1989).
"""

from __future__ import annotations

from collections.abc import Sequence
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
TOGETHER = 5
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
        starts = [*range(wanted), *range(wanted, len(odds), TOGETHER)]
        evidence = self._states @ np.add.reduceat(np.clip(odds, NO, YES) * self._weight, starts)
        likely = np.exp(evidence - evidence.max(axis=1, keepdims=True))
        before = self._before(channels, likely[:wanted], final)
        both = before * self._after(likely, np.diff(starts))[:wanted]
        chain = self._states.T @ both / both.sum(axis=1, keepdims=True)
        agreed = (odds[:wanted] + np.clip(log_odds(chain), -SUREST, SUREST)) / 2
        probs = 1 / (1 + np.exp(-agreed.transpose(2, 0, 1)))
        return without_tails(probs, self._tails)[:, :final]

    def _before(self, channels: Numbers, likely: Answers, final: int) -> Answers:
        """Go through cells forwards, and remember where the final ones end.

        Args:
            channels: Distinct.
            likely: How well each state explains each cell alone, shape (cells, states, channels).
            final: How many of them are final.

        Returns:
            How probable each state is by a cell and those before it, up to a factor; same shape.
        """
        shares, before = self._belief[:, channels], []
        for cell in likely:
            shares = self._moved(shares, 1) * cell
            before.append(shares)
        self._belief[:, channels] = before[final - 1] / before[final - 1].sum(axis=0)
        return np.stack(before)

    def _after(self, likely: Answers, apart: NDArray[np.intp]) -> Answers:
        """Go through steps backwards.

        Args:
            likely: How well each state explains each step alone, shape (steps, states, channels).
            apart: Cells from each step to the next, shape (steps - 1,).

        Returns:
            How well each state explains the steps after it, up to a factor; the shape of `likely`.
        """
        after = [np.ones_like(likely[0])]
        for step, cells in zip(likely[:0:-1], apart[::-1], strict=True):
            after.append(self._moved(step * after[-1], cells))
        return np.stack(after[::-1])

    def _moved(self, shares: Answers, cells: int) -> Answers:
        """Let states, shape (states, channels), give way to others as they do in so many cells."""
        moved: Answers = shares + cells * self._change * shares.sum(axis=0)
        return moved


def log_odds(probs: Answers) -> Answers:
    """Return the logarithm of how much more probable than not."""
    p = np.clip(probs, 1e-9, 1 - 1e-9)
    return np.log(p / (1 - p))


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
