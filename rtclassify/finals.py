"""What hops are for good: many channels' windows in, decided hops out, each once and in order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from statistics import fmean
from typing import NamedTuple

import numpy as np

from rtclassify.config import LabelSettings
from rtclassify.decoding import Decoder
from rtclassify.overlap import Agreed, Numbers, Overlap
from rtclassify.stream import Framing, Samples

MOSTLY = 0.5
"""Share of a hop's cells in which an answer is yes, from which on it is for the hop."""


class Run(NamedTuple):
    """Cells of a hop, one after the other, in which the same answers are yes.

    Args:
        cells: How many.
        held: Which answers, in the model's order.
        probs: Mean probability of each answer.
    """

    cells: int
    held: tuple[bool, ...]
    probs: Sequence[float]


class DecidedHop(NamedTuple):
    """What a hop is for good.

    Args:
        probs: Mean probability of each answer.
        held: Which answers are yes in most of it.
        runs: Its cells.
    """

    probs: Sequence[float]
    held: tuple[bool, ...]
    runs: Sequence[Run]


class Finals:
    """Follow the windows of many channels and decide their hops.

    Args:
        channels: How many there are; they are called by number.
        tails_s: For how long each answer outlasts what it is of.
        framing: How the classifier cuts audio.
        settings: How long hops wait, and what is a yes.
    """

    def __init__(
        self, channels: int, tails_s: Sequence[float], framing: Framing, settings: LabelSettings
    ) -> None:
        self._hop_cells = framing.hop // framing.cell
        lag = round(settings.final_after_s * framing.rate / framing.hop)
        self._overlap = Overlap(
            channels,
            cells=framing.window // framing.cell,
            hop=self._hop_cells,
            lag=min(lag, framing.window // framing.hop - 1),
            labels=len(tails_s),
        )
        self._threshold = settings.threshold
        self._decoder = Decoder(channels, tails_s=tails_s, cell_s=framing.cell / framing.rate)

    def add(self, channels: Numbers, scores: Samples) -> list[list[list[DecidedHop]]]:
        """Take the next windows of some channels, equally many of each.

        Args:
            channels: Distinct.
            scores: Shape (channels, windows, cells, labels).

        Returns:
            Which hops each window of each channel decides.
        """
        decided: list[list[list[DecidedHop]]] = [[] for _ in channels]
        for agreed in self._overlap.add(channels, scores):
            hops = self._decided(channels[agreed.which], agreed)
            for place, mine in zip(agreed.which.tolist(), hops, strict=True):
                decided[place] += mine
        return decided

    def flush(self, channel: int) -> list[DecidedHop]:
        """Decide a channel's hops that wait for later audio."""
        ((decided,),) = self._decided(np.array([channel]), self._overlap.flush(channel))
        return decided

    def reset(self, channel: int) -> None:
        """Forget a channel's windows: what follows is not contiguous with them."""
        self._overlap.reset(channel)
        self._decoder.reset(channel)

    def _decided(self, channels: Numbers, agreed: Agreed) -> list[list[list[DecidedHop]]]:
        probs = self._decoder.decide(channels, agreed.answers, final=agreed.final)
        hops = agreed.final // self._hop_cells
        answers = probs.reshape(*probs.shape[:2], hops, self._hop_cells, probs.shape[-1])
        yes = answers >= self._threshold
        mostly = yes.mean(axis=3) >= MOSTLY
        told = [each.tolist() for each in (answers.mean(axis=3), mostly, yes, answers)]
        return [
            [
                [_hop(*hop) for hop in zip(*window, strict=True)]
                for window in zip(*of_one, strict=True)
            ]
            for of_one in zip(*told, strict=True)
        ]


def _hop(
    probs: list[float], mostly: list[bool], yes: list[list[bool]], answers: list[list[float]]
) -> DecidedHop:
    held = tuple(mostly)
    if yes.count(mostly) == len(yes):
        return DecidedHop(probs, held, [Run(len(yes), held, probs)])
    runs = []
    for which, cells in groupby(zip(yes, answers, strict=True), key=itemgetter(0)):
        said = [answer for _, answer in cells]
        means = [fmean(of_one) for of_one in zip(*said, strict=True)]
        runs.append(Run(len(said), tuple(which), means))
    return DecidedHop(probs, held, runs)
