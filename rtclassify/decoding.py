"""What most likely was going on, by the answers before and after each cell.

A *state* says of every answer whether it is yes. A cell's evidence for a state is the sum of the
log-odds of its answers, and a change of state has a price, so that what does not last is not
believed and a boundary lies where the evidence turns. The price is the same however many answers
change: speech that gives way to music is one change, and its evidence is that of both.

Viterbi, "Error bounds for convolutional codes and an asymptotically optimum decoding algorithm",
IEEE Transactions on Information Theory 13(2), 1967.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from rtclassify.overlap import Answers, Numbers

SURE = 3.0
"""Log-odds beyond which an answer is no better evidence: a probability of 95 %."""
WORTH_S = 0.7
"""The price of a change, in seconds of sure evidence of one answer; if one answer changes, it is
believed when it lasts twice as long, if two do, when it lasts as long."""

States = NDArray[np.intp]


class Decoder:
    """Decide the cells of many channels, as many as are final, by them and by what came after.

    Args:
        channels: How many there are.
        tails: For how many cells each answer outlasts what it is of.
        threshold: Probability that is evidence neither of yes nor of no.
        cell_s: Seconds in a cell.
    """

    def __init__(
        self, channels: int = 1, *, tails: Sequence[int], threshold: float, cell_s: float
    ) -> None:
        self._even = math.log(threshold / (1 - threshold))
        self._price = SURE * WORTH_S / cell_s
        self._tails = tails
        self._states = np.array([*product([False, True], repeat=len(tails))])
        self._behind = np.zeros((channels, len(self._states)))

    def reset(self, channel: int = 0) -> None:
        """Forget a channel's cells: what follows does not continue them."""
        self._behind[channel] = 0.0

    def decide(self, channels: Numbers, answers: Answers, *, final: int) -> NDArray[np.bool_]:
        """Say of the first `final` cells of some channels which answers are yes.

        Args:
            channels: Distinct.
            answers: Probabilities of cells, shape (channels, cells, labels): those that follow the
                last ones that were final, and all that is known of later ones.
            final: How many of them will not be asked about again.

        Returns:
            Shape (channels, final, labels).
        """
        path = np.zeros((final, len(channels)), int)
        if final:
            heard = without_tails(answers, self._tails)
            p = np.clip(heard.swapaxes(0, 1), 1e-9, 1 - 1e-9)
            odds = np.clip(np.log(p / (1 - p)) - self._even, -SURE, SURE)
            worse = odds @ self._states.T
            worse -= worse.max(axis=2, keepdims=True)
            behind = self._behind[channels]
            leader = behind.argmax(axis=1)
            steady = np.all(worse[:, np.arange(len(channels)), leader] == 0.0, axis=0)
            path[:, steady] = leader[steady]
            self._behind[channels[steady]] = np.maximum(
                behind[steady] + worse[:final, steady].sum(axis=0),
                worse[final - 1, steady] - self._price,
            )
            if not steady.all():
                path[:, ~steady], self._behind[channels[~steady]] = self._best(
                    behind[~steady], worse[:, ~steady], final
                )
        return self._states[path.T]

    def _best(self, behind: Answers, worse: Answers, final: int) -> tuple[States, Answers]:
        """Find the best path through the final cells, and how far behind each state is then.

        Args:
            behind: How far behind the best state each one is, before the first cell; none is above
                zero. Shape (channels, states).
            worse: The same of each cell's own evidence, shape (cells, channels, states).
            final: How many cells are final.
        """
        ahead = np.zeros_like(behind)
        for cell in worse[: final - 1 : -1]:
            ahead = self._carried(ahead + cell)
        reached = []
        for cell in worse[:final]:
            behind = self._carried(behind) + cell
            behind -= behind.max(axis=1, keepdims=True)
            reached.append(behind)
        state = (behind + ahead).argmax(axis=1)
        path = [state]
        for before in reached[-2::-1]:
            stays = np.take_along_axis(before, state[:, np.newaxis], axis=1)[:, 0] >= -self._price
            state = np.where(stays, state, before.argmax(axis=1))
            path.append(state)
        return np.array(path[::-1]), behind

    def _carried(self, scores: Answers) -> Answers:
        """Let each state be no farther behind the best one than a change costs."""
        best: Answers = scores.max(axis=1, keepdims=True)
        return np.maximum(scores - best, -self._price)


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
