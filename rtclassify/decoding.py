"""What most likely was going on, by the answers before and after each cell.

Each of a model's answers is a chain of two states, yes and no. A cell's evidence is its log-odds,
and a change of state has a price, so that what does not last is not believed and a boundary lies
where the evidence turns. With two states Viterbi's algorithm is one number a cell: how far yes
leads, of which no more than the price is carried on.

Viterbi, "Error bounds for convolutional codes and an asymptotically optimum decoding algorithm",
IEEE Transactions on Information Theory 13(2), 1967.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rtclassify.overlap import Answers

SURE = 3.0
"""Log-odds beyond which an answer is no better evidence: a probability of 95 %."""
WORTH_S = 0.5
"""The price of a change, in seconds of sure evidence; what lasts twice as long is believed."""


class Decoder:
    """Decide the cells of one channel, as many as are final, by them and by what came after.

    Args:
        labels: Scores of a cell.
        threshold: Probability that is evidence neither of yes nor of no.
        cell_s: Seconds in a cell.
    """

    def __init__(self, labels: int, *, threshold: float, cell_s: float) -> None:
        self._labels = labels
        self._even = math.log(threshold / (1 - threshold))
        self._price = SURE * WORTH_S / cell_s
        self.reset()

    def reset(self) -> None:
        """Forget all cells: what follows does not continue them."""
        self._leads = [0.0] * self._labels

    def decide(self, answers: Answers, *, final: int) -> NDArray[np.bool_]:
        """Say of the first `final` cells which answers are yes.

        Args:
            answers: Probabilities of cells, shape (cells, labels): those that follow the last ones
                that were final, and all that is known of later ones.
            final: How many of them will not be asked about again.

        Returns:
            Shape (final, labels).
        """
        p = np.clip(answers, 1e-9, 1 - 1e-9)
        evidence = np.clip(np.log(p / (1 - p)) - self._even, -SURE, SURE)
        decided = np.zeros((final, self._labels), bool)
        if final:
            for label, column in enumerate(evidence.T.tolist()):
                decided[:, label] = self._decide(label, column, final)
        return decided

    def _decide(self, label: int, evidence: list[float], final: int) -> list[bool]:
        price, lead, leads = self._price, self._leads[label], []
        for weight in evidence:
            lead = weight + min(price, max(-price, lead))
            leads.append(lead)
        self._leads[label] = leads[final - 1]
        yes = lead >= 0
        decided = []
        for lead in reversed(leads):
            yes = lead >= -price if yes else lead > price
            decided.append(yes)
        return decided[::-1][:final]
