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

from rtclassify.overlap import Answers, Numbers

SURE = 3.0
"""Log-odds beyond which an answer is no better evidence: a probability of 95 %."""
WORTH_S = 0.5
"""The price of a change, in seconds of sure evidence; what lasts twice as long is believed."""


class Decoder:
    """Decide the cells of many channels, as many as are final, by them and by what came after.

    Args:
        channels: How many there are.
        labels: Scores of a cell.
        threshold: Probability that is evidence neither of yes nor of no.
        cell_s: Seconds in a cell.
    """

    def __init__(self, channels: int = 1, *, labels: int, threshold: float, cell_s: float) -> None:
        self._even = math.log(threshold / (1 - threshold))
        self._price = np.array(SURE * WORTH_S / cell_s)
        self._leads = np.zeros((channels, labels))

    def reset(self, channel: int = 0) -> None:
        """Forget a channel's cells: what follows does not continue them."""
        self._leads[channel] = 0.0

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
        p = np.clip(answers.swapaxes(0, 1), 1e-9, 1 - 1e-9)
        leads = np.clip(np.log(p / (1 - p)) - self._even, -SURE, SURE)
        if not final:
            return np.zeros((len(channels), 0, self._leads.shape[1]), bool)
        before, carried = self._leads[channels], np.empty_like(leads[0])
        for lead in leads:
            np.minimum(before, self._price, out=carried)
            np.maximum(carried, -self._price, out=carried)
            before = np.add(lead, carried, out=lead)
        self._leads[channels] = leads[final - 1]
        return self._traced(leads)[:final].swapaxes(0, 1)

    def _traced(self, leads: Answers) -> NDArray[np.bool_]:
        """Follow the best path back: a cell that can be either is as the one after it."""
        cells = np.arange(len(leads))[:, np.newaxis, np.newaxis]
        clear = np.abs(leads) > self._price
        clear[-1] = True
        decides = np.where(clear, cells, len(leads))
        decides = np.minimum.accumulate(decides[::-1])[::-1]
        return np.take_along_axis(leads >= 0, decides, axis=0)
