"""What chains of cells say, against the sum over all paths that there are."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rtclassify.decoding import (
    LASTS_S,
    NO,
    PER_S,
    SUREST,
    TOGETHER,
    YES,
    Decoder,
    log_odds,
    without_tails,
)
from rtclassify.overlap import Answers

CELL_S = 0.1
SURE = 0.95


class One(Decoder):
    """Decides the cells of one channel."""

    def __init__(self, labels: int = 1) -> None:
        super().__init__(tails_s=[0.0] * labels, cell_s=CELL_S)

    def of(self, answers: Answers, *, final: int) -> Answers:
        """Decide cells, shape (cells, labels)."""
        ((decided,),) = self.decide(np.zeros(1, int), answers[None, None], final=final)
        return np.asarray(decided)


def column(*stretches: tuple[float, int]) -> Answers:
    return np.concatenate([np.full(n, p) for p, n in stretches])[:, np.newaxis]


def chained(odds: Answers, cells: Sequence[int]) -> Answers:
    """Return how probable each answer is in each step, by the definition.

    Args:
        odds: The sums of the log-odds that count, shape (steps, labels).
        cells: How many cells each step takes.
    """
    states = [*product([0, 1], repeat=odds.shape[1])]
    change = CELL_S / LASTS_S / (len(states) - 1)
    yes, total = np.zeros(odds.shape), 0.0
    for path in product(states, repeat=len(odds)):
        worth = np.exp(CELL_S * PER_S * np.sum(odds * path))
        for (before, after), count in zip(pairwise(path), cells, strict=False):
            worth *= count * change + (before == after)
        yes += worth * np.array(path)
        total += worth
    return yes / total


@settings(deadline=None, max_examples=60)
@given(
    probs=st.lists(st.tuples(*[st.floats(0.001, 0.999)] * 2), min_size=1, max_size=6),
    labels=st.integers(1, 2),
    later=st.integers(0, 2),
)
def test_an_answer_is_the_mean_of_its_cell_and_of_all_paths(
    probs: list[tuple[float, float]], labels: int, later: int
) -> None:
    """Later cells are taken together, so there the paths change between groups alone."""
    answers = np.array(probs)[:, :labels]
    known = np.concatenate([answers, np.full((later * TOGETHER, labels), 0.7)])

    decided = One(labels).of(known, final=len(answers))

    counts = np.clip(log_odds(known), NO, YES)
    grouped = counts[len(answers) :].reshape(later, TOGETHER, labels).sum(axis=1)
    cells = [1] * len(answers) + [TOGETHER] * later
    chain = chained(np.concatenate([counts[: len(answers)], grouped]), cells)[: len(answers)]
    expected = (log_odds(answers) + np.clip(log_odds(chain), -SUREST, SUREST)) / 2
    np.testing.assert_allclose(log_odds(decided), expected, atol=1e-6)


@settings(deadline=None)
@given(data=st.data(), cells=st.integers(2, 60), seed=st.integers(0, 999))
def test_what_went_before_counts_in_however_many_parts_it_came(
    data: st.DataObject, cells: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    answers = np.repeat(rng.random((cells, 2)), rng.integers(1, 20, cells), axis=0)
    cut = data.draw(st.integers(0, len(answers)))
    parts = One(2)

    parts.of(answers, final=cut)
    late = parts.of(answers[cut:], final=len(answers) - cut)

    np.testing.assert_allclose(late, One(2).of(answers, final=len(answers))[cut:], atol=1e-9)


def test_what_is_brief_is_believed_only_if_it_is_surer_than_the_rest_can_be() -> None:
    surest = 1 / (1 + np.exp(-SUREST))
    for prob, cells, yes in ((SURE, 5, False), (SURE, 20, True), (surest + 0.01, 5, True)):
        answers = column((1 - SURE, 60), (prob, cells), (1 - SURE, 60))
        decided = One().of(answers, final=len(answers))
        assert (decided >= 0.5).any() == yes
        assert not (decided[:50] >= 0.5).any()


def test_a_boundary_is_where_the_evidence_turns() -> None:
    answers = column((0.1, 60), (0.9, 60))

    decided = One().of(answers, final=120)[:, 0]

    assert (decided >= 0.5).tolist() == [False] * 60 + [True] * 60


def test_a_pause_is_weaker_evidence_than_a_sound() -> None:
    """Where every other cell is a sure yes, the answer is yes throughout."""
    answers = np.tile([[SURE], [1 - SURE]], (40, 1))

    assert (One().of(answers, final=80)[::2] > SURE).all()
    assert (One().of(answers, final=80) >= 0.5).all()


def test_what_outlasts_its_cause_ends_earlier_and_begins_where_it_begins() -> None:
    decoder = Decoder(tails_s=[0.3], cell_s=CELL_S)
    answers = column((0.1, 60), (0.9, 60), (0.1, 60))

    ((decided,),) = decoder.decide(np.zeros(1, int), answers[None, None], final=len(answers))

    assert np.flatnonzero(decided[:, 0] >= 0.5).tolist() == [*range(60, 117)]


@given(tails=st.lists(st.integers(0, 9), min_size=2, max_size=2), cells=st.integers(1, 12))
def test_a_yes_counts_as_far_as_it_holds_for_its_tail(tails: list[int], cells: int) -> None:
    answers = np.random.default_rng(cells).random((3, cells, 2))

    least = without_tails(answers, tails)

    for channel, cell, label in product(range(3), range(cells), range(2)):
        tail = answers[channel, cell : cell + tails[label] + 1, label]
        assert least[channel, cell, label] == tail.min()


def test_later_cells_count_though_they_are_not_final() -> None:
    doubtful = column((0.1, 20), (0.55, 5))

    alone = One().of(doubtful, final=25)
    followed = One().of(np.concatenate([doubtful, column((SURE, 20))]), final=25)

    assert (alone < 0.5).all()
    assert followed[-1] >= 0.5


def test_it_goes_on_where_it_was_until_it_is_reset() -> None:
    one = One()
    one.of(column((SURE, 30)), final=30)

    assert (one.of(column((0.3, 5)), final=5) >= 0.5).all()
    one.reset()
    assert (one.of(column((0.3, 5)), final=5) < 0.5).all()


def test_channels_do_not_meddle_with_each_other() -> None:
    rng = np.random.default_rng(0)
    answers = np.repeat(rng.random((3, 8, 2)), 9, axis=1)
    decoder = Decoder(3, tails_s=[0.0, 0.0], cell_s=CELL_S)

    together = decoder.decide(np.arange(3), answers[:, None], final=50)

    for channel in range(3):
        alone = One(2).of(answers[channel], final=50)
        assert together[channel, 0].tolist() == alone.tolist()


@settings(deadline=None)
@given(data=st.data(), times=st.integers(1, 6), seed=st.integers(0, 99))
def test_what_was_known_at_many_times_is_decided_as_time_by_time(
    data: st.DataObject, times: int, seed: int
) -> None:
    """To the bit, in however many parts the times of three channels come."""
    answers = np.random.default_rng(seed).random((3, times, 50, 2))
    cut = data.draw(st.integers(0, times))
    at_once, by_time = (Decoder(3, tails_s=[0.2, 0.4], cell_s=CELL_S) for _ in range(2))
    channels = np.arange(3)

    parts = [
        at_once.decide(channels, some, final=5)
        for some in (answers[:, :cut], answers[:, cut:])
        if some.shape[1]
    ]

    for time, decided in enumerate(np.moveaxis(np.concatenate(parts, axis=1), 1, 0)):
        (alone,) = np.moveaxis(by_time.decide(channels, answers[:, [time]], final=5), 1, 0)
        assert decided.tolist() == alone.tolist()


def test_half_a_minute_that_turns_all_the_time_stays_a_probability() -> None:
    """Two answers that contradict each other and themselves, as surely as can be, cell by cell."""
    said = np.tile([[0.0, 1.0], [1.0, 0.0]], (150, 1))

    told = One(2).of(said, final=300)

    assert np.all((told > 0) & (told < 1))


def test_however_long_it_is_the_same_it_stays_a_probability() -> None:
    one = One(2)
    for answers in (np.zeros((2_000, 2)), np.ones((2_000, 2)), np.zeros((2_000, 2))):
        decided = one.of(answers, final=2_000)
        assert np.all((decided > 0) & (decided < 1))
        assert np.all((decided[100:] >= 0.5) == answers[100:])
