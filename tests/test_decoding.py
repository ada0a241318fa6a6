"""Decisions about cells, against the best of all paths that there are."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rtclassify.decoding import SURE, WORTH_S, Decoder
from rtclassify.overlap import Answers

CELL_S = 0.1
PRICE = SURE * WORTH_S / CELL_S


class One(Decoder):
    """Decides the cells of one channel."""

    def __init__(self, labels: int = 1, *, threshold: float = 0.5) -> None:
        super().__init__(labels=labels, threshold=threshold, cell_s=CELL_S)

    def of(self, answers: Answers, *, final: int) -> NDArray[np.bool_]:
        """Decide cells, shape (cells, labels)."""
        (decided,) = self.decide(np.zeros(1, int), answers[np.newaxis], final=final)
        return np.asarray(decided)


def column(*stretches: tuple[float, int]) -> Answers:
    return np.concatenate([np.full(n, p) for p, n in stretches])[:, np.newaxis]


def worth(path: tuple[bool, ...], probs: list[float]) -> float:
    """What a path is worth, by the definition."""
    odds = [float(np.clip(np.log(p / (1 - p)), -SURE, SURE)) for p in probs]
    evidence = sum(weight if yes else -weight for yes, weight in zip(path, odds, strict=True)) / 2
    return evidence - PRICE * sum(a != b for a, b in pairwise(path))


@settings(deadline=None, max_examples=50)
@given(probs=st.lists(st.floats(0.001, 0.999), min_size=1, max_size=9), scale=st.integers(1, 12))
def test_all_at_once_it_is_the_best_of_all_paths(probs: list[float], scale: int) -> None:
    """Each probability holds for `scale` cells, so that changes are worth their price."""
    long = np.repeat(probs, scale)[:, np.newaxis]
    decided = One().of(long, final=len(long))[:, 0]

    paths = product([False, True], repeat=len(probs))
    held = [tuple(np.repeat(path, scale).tolist()) for path in paths]
    best = max(worth(path, long[:, 0].tolist()) for path in held)
    assert worth(tuple(decided.tolist()), long[:, 0].tolist()) >= best - 1e-6


def test_what_lasts_less_than_twice_the_price_is_not_believed() -> None:
    believed = round(2 * WORTH_S / CELL_S)
    for cells, yes in ((believed - 1, False), (believed + 1, True)):
        answers = column((0.0, 30), (1.0, cells), (0.0, 30))
        assert One().of(answers, final=len(answers)).any() == yes


def test_a_boundary_is_where_the_evidence_turns() -> None:
    answers = column((0.1, 40), (0.9, 40))

    decided = One().of(answers, final=80)[:, 0]

    assert decided.tolist() == [False] * 40 + [True] * 40


def test_later_cells_count_though_they_are_not_final() -> None:
    doubtful = column((0.0, 20), (0.55, 5))

    alone = One().of(doubtful, final=25)
    followed = One().of(np.concatenate([doubtful, column((1.0, 20))]), final=25)

    assert not alone.any()
    assert followed[20:].all()


def test_it_goes_on_where_it_was_until_it_is_reset() -> None:
    one = One()
    one.of(column((1.0, 30)), final=30)

    assert one.of(column((0.3, 5)), final=5).all()
    one.reset()
    assert not one.of(column((0.3, 5)), final=5).any()


def test_answers_do_not_meddle_with_each_other() -> None:
    rng = np.random.default_rng(0)
    answers = rng.random((60, 2))

    both = One(2).of(answers, final=40)

    for label in (0, 1):
        alone = One().of(answers[:, [label]], final=40)
        assert both[:, label].tolist() == alone[:, 0].tolist()


def test_the_threshold_is_where_evidence_begins() -> None:
    answers = column((0.6, 30))

    assert One(threshold=0.5).of(answers, final=30).all()
    assert not One(threshold=0.7).of(answers, final=30).any()
