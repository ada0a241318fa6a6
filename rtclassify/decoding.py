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
            answers: Probabilities of cells, shape (channels, times, cells, labels): what was known
                at some times, one after the other, of cells that follow the last ones that were
                final before.
            final: How many of them were not asked about again, each time.

        Returns:
            Probabilities, shape (channels, times, final, labels).
        """
        if not final:
            return answers[:, :, :0]
        odds = log_odds(answers.reshape(-1, *answers.shape[2:]).transpose(1, 2, 0))
        wanted = min(final + max(self._tails), len(odds))
        chain = self._chain(channels, np.clip(odds, NO, YES), wanted, final)
        agreed = (odds[:wanted] + np.clip(chain, -SUREST, SUREST)) / 2
        probs = without_tails(1 / (1 + np.exp(-agreed.transpose(2, 0, 1))), self._tails)
        return probs[:, :final].reshape(*answers.shape[:2], final, answers.shape[-1])

    def _chain(self, channels: Numbers, odds: Answers, wanted: int, final: int) -> Answers:
        """Return each answer's log-odds by all cells, and remember where the final ones end.

        The shares of the states are right up to a factor. They are followed forwards from what was
        believed and backwards from the end at once: it is the same step.

        Args:
            channels: Distinct.
            odds: The log-odds that count, shape (cells, labels, rows): each channel's times.
            wanted: How many cells are asked about.
            final: How many of these are final.

        Returns:
            Log-odds, shape (wanted, labels, rows).
        """
        times = odds.shape[-1] // len(channels)
        starts, apart = _steps(wanted, len(odds))
        evidence = self._states @ (np.add.reduceat(odds, starts) * self._weight)
        likely = np.exp(evidence - np.maximum.reduce(evidence, axis=1, keepdims=True))
        both_ways = np.stack((likely, likely[::-1]), axis=1)
        begun = self._begun(channels, likely[:final])
        shares = np.array((begun, np.ones_like(begun)))
        for step, change in zip(both_ways, self._change * apart, strict=True):
            moved = shares / np.add.reduce(shares, axis=1, keepdims=True) + change
            shares = np.multiply(step, moved, out=step)
        forwards, backwards = both_ways[:, 0], both_ways[::-1, 1]
        self._belief[:, channels] = forwards[final - 1, :, times - 1 :: times]
        states = (forwards * backwards / likely)[:wanted]
        return np.asarray(np.log((self._states.T @ states) / ((1 - self._states.T) @ states)))

    def _begun(self, channels: Numbers, likely: Answers) -> Answers:
        """Return what is believed of each row when its cells begin, shape (states, rows).

        Args:
            channels: Distinct.
            likely: How well each state explains the cells that become final, one after the other;
                shape (final, states, rows).
        """
        times = likely.shape[-1] // len(channels)
        by_time = likely.reshape(*likely.shape[:2], len(channels), times)
        begun = np.empty(by_time.shape[1:])
        begun[..., 0] = belief = self._belief[:, channels]
        for time in range(1, times):
            for step in by_time[..., time - 1]:
                belief = step * (belief / np.add.reduce(belief) + self._change)
            begun[..., time] = belief
        return begun.reshape(len(begun), -1)


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
