"""Decisions about cells, against the best of all paths that there are."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rtclassify.decoding import SURE, WORTH_S, Decoder, without_tails
from rtclassify.overlap import Answers

CELL_S = 0.1
PRICE = SURE * WORTH_S / CELL_S


class One(Decoder):
    """Decides the cells of one channel."""

    def __init__(self, labels: int = 1, *, threshold: float = 0.5) -> None:
        super().__init__(tails=[0] * labels, threshold=threshold, cell_s=CELL_S)

    def of(self, answers: Answers, *, final: int) -> NDArray[np.bool_]:
        """Decide cells, shape (cells, labels)."""
        (decided,) = self.decide(np.zeros(1, int), answers[np.newaxis], final=final)
        return np.asarray(decided)


def column(*stretches: tuple[float, int]) -> Answers:
    return np.concatenate([np.full(n, p) for p, n in stretches])[:, np.newaxis]


def worth(path: Sequence[tuple[bool, ...]], probs: Answers) -> float:
    """What a path is worth, by the definition; probabilities are of shape (cells, labels)."""
    odds = np.clip(np.log(probs / (1 - probs)), -SURE, SURE)
    evidence = float(np.where(path, odds, -odds).sum()) / 2
    return evidence - PRICE * sum(a != b for a, b in pairwise(path))


@settings(deadline=None, max_examples=60)
@given(
    probs=st.lists(st.tuples(*[st.floats(0.001, 0.999)] * 2), min_size=1, max_size=5),
    scale=st.integers(1, 16),
    labels=st.integers(1, 2),
)
def test_all_at_once_it_is_the_best_of_all_paths(
    probs: list[tuple[float, float]], scale: int, labels: int
) -> None:
    """Each probability holds for `scale` cells, so that changes are worth their price."""
    long = np.repeat(np.array(probs)[:, :labels], scale, axis=0)
    decided = One(labels).of(long, final=len(long))

    states = product([False, True], repeat=labels)
    paths = product(list(states), repeat=len(probs))
    best = max(worth([s for s in path for _ in range(scale)], long) for path in paths)
    assert worth([tuple(cell) for cell in decided.tolist()], long) >= best - 1e-6


@settings(deadline=None)
@given(data=st.data(), cells=st.integers(2, 60), seed=st.integers(0, 999))
def test_in_how_many_parts_cells_become_final_does_not_matter_if_all_are_known(
    data: st.DataObject, cells: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    answers = np.repeat(rng.random((cells, 2)), rng.integers(1, 20, cells), axis=0)
    cut = data.draw(st.integers(0, len(answers)))
    parts = One(2)

    early, late = parts.of(answers, final=cut), parts.of(answers[cut:], final=len(answers) - cut)

    assert np.concatenate([early, late]).tolist() == One(2).of(answers, final=len(answers)).tolist()


def test_what_lasts_less_than_twice_the_price_is_not_believed() -> None:
    believed = round(2 * WORTH_S / CELL_S)
    for cells, yes in ((believed - 1, False), (believed + 1, True)):
        answers = column((0.0, 30), (1.0, cells), (0.0, 30))
        assert One().of(answers, final=len(answers)).any() == yes


def test_a_boundary_is_where_the_evidence_turns() -> None:
    answers = column((0.1, 40), (0.9, 40))

    decided = One().of(answers, final=80)[:, 0]

    assert decided.tolist() == [False] * 40 + [True] * 40


def test_what_outlasts_its_cause_ends_earlier_and_begins_where_it_begins() -> None:
    decoder = Decoder(tails=[3], threshold=0.5, cell_s=CELL_S)
    answers = column((0.1, 40), (0.9, 40), (0.1, 40))

    (decided,) = decoder.decide(np.zeros(1, int), answers[np.newaxis], final=len(answers))

    assert np.flatnonzero(decided[:, 0]).tolist() == [*range(40, 77)]


@given(tails=st.lists(st.integers(0, 9), min_size=2, max_size=2), cells=st.integers(1, 12))
def test_a_yes_counts_as_far_as_it_holds_for_its_tail(tails: list[int], cells: int) -> None:
    answers = np.random.default_rng(cells).random((3, cells, 2))

    least = without_tails(answers, tails)

    for channel, cell, label in product(range(3), range(cells), range(2)):
        tail = answers[channel, cell : cell + tails[label] + 1, label]
        assert least[channel, cell, label] == tail.min()


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


def test_two_answers_that_change_at_once_are_one_change() -> None:
    """What would be too short for one answer alone is believed of both."""
    for cells, believed in (
        (round(WORTH_S / CELL_S) - 1, False),
        (round(WORTH_S / CELL_S) + 1, True),
    ):
        speech = column((1.0, 40), (0.0, cells), (1.0, 40))
        answers = np.concatenate([speech, 1.0 - speech], axis=1)

        assert One(2).of(answers, final=len(answers))[:, 1].any() == believed


def test_channels_do_not_meddle_with_each_other() -> None:
    rng = np.random.default_rng(0)
    answers = np.repeat(rng.random((3, 8, 2)), 9, axis=1)
    decoder = Decoder(3, tails=[0, 0], threshold=0.5, cell_s=CELL_S)

    together = decoder.decide(np.arange(3), answers, final=50)

    for channel in range(3):
        alone = One(2).of(answers[channel], final=50)
        assert together[channel].tolist() == alone.tolist()


def test_the_threshold_is_where_evidence_begins() -> None:
    answers = column((0.6, 30))

    assert One(threshold=0.5).of(answers, final=30).all()
    assert not One(threshold=0.7).of(answers, final=30).any()
