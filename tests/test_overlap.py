"""The mean over overlapping windows, against the same mean computed cell by cell."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rtclassify.overlap import Agreed, Overlap
from rtclassify.stream import Samples


@st.composite
def grids(draw: st.DrawFn) -> tuple[int, int, int, Samples]:
    """Cells in a hop, hops that wait, and windows of scores, shape (windows, cells, 2)."""
    hop, hops = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    lag = draw(st.integers(0, hops - 1))
    cells = hop * hops + draw(st.integers(0, hop - 1))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    scores = rng.random((draw(st.integers(0, 15)), cells, 2)).astype(np.float32)
    return hop, lag, cells, scores


ONE = np.zeros(1, int)


def add(overlap: Overlap, window: Samples) -> Agreed:
    """Add a window of the only channel."""
    (agreed,) = overlap.add(ONE, window[np.newaxis, np.newaxis])
    return agreed


def by_hand(cell: int, scores: Samples, *, hop: int, last: int) -> Samples:
    """Average what windows up to `last` say of the cell, counted from the first window's start."""
    cells = scores.shape[1]
    weighted = total = 0.0
    for number, window in enumerate(scores[: last + 1].astype(float)):
        at = cell - number * hop
        if 0 <= at < cells:
            weight = 1 + min(at, cells - 1 - at)
            weighted, total = weighted + weight * window[at], total + weight
    return np.asarray(weighted / total)


@settings(deadline=None)
@given(grid=grids())
def test_an_answer_is_the_weighted_mean_of_the_windows_that_could_wait(
    grid: tuple[int, int, int, Samples],
) -> None:
    hop, lag, cells, scores = grid
    overlap = Overlap(cells=cells, hop=hop, lag=lag, labels=2)

    agreed = [*(add(overlap, window) for window in scores), overlap.flush()]
    answers = [row for one in agreed for row in one.answers[0, 0, : one.final]]

    hops_in_window = cells // hop
    first = cells % hop
    count = (hops_in_window + len(scores) - 1) * hop if len(scores) else 0
    assert len(answers) == count
    for number, answer in enumerate(answers):
        last = max(0, number // hop + lag - (hops_in_window - 1))
        expected = by_hand(first + number, scores, hop=hop, last=last)
        np.testing.assert_allclose(answer, expected, atol=1e-12)


@settings(deadline=None)
@given(grid=grids())
def test_a_hop_waits_for_its_lag_and_no_longer(grid: tuple[int, int, int, Samples]) -> None:
    hop, lag, cells, scores = grid
    overlap = Overlap(cells=cells, hop=hop, lag=lag, labels=2)

    taken = [add(overlap, window).final for window in scores]

    assert taken == [(cells // hop - lag) * hop, *[hop] * len(scores)][: len(scores)]
    assert overlap.flush().final == (lag * hop if len(scores) else 0)
    assert overlap.flush().final == 0


@settings(deadline=None)
@given(grid=grids(), data=st.data())
def test_many_windows_at_once_are_as_one_by_one(
    grid: tuple[int, int, int, Samples], data: st.DataObject
) -> None:
    """To the bit, of two channels that do not wait for equally much."""
    hop, lag, cells, scores = grid
    at_once, one_by_one = (Overlap(2, cells=cells, hop=hop, lag=lag, labels=2) for _ in range(2))
    begun = data.draw(st.integers(0, 8))
    flushed = data.draw(st.booleans())
    for overlap in (at_once, one_by_one):
        for window in scores[:begun]:
            overlap.add(ONE, window[np.newaxis, np.newaxis])
        if flushed:
            overlap.flush()
    both = np.stack([scores, scores[::-1]])
    together = at_once.add(np.arange(2), both) if len(scores) else []
    told: list[list[tuple[list[float], int]]] = [[], []]
    for agreed in together:
        for channel, windows in zip(agreed.which.tolist(), agreed.answers, strict=True):
            told[channel] += [(known.tolist(), agreed.final) for known in windows]

    for number, windows in enumerate(np.moveaxis(both, 1, 0)):
        for agreed in one_by_one.add(np.arange(2), windows[:, np.newaxis]):
            for channel, (known,) in zip(agreed.which.tolist(), agreed.answers, strict=True):
                assert told[channel][number] == (known.tolist(), agreed.final)


def test_after_a_flush_it_goes_on_with_the_next_hop() -> None:
    overlap = Overlap(cells=4, hop=1, lag=2, labels=1)
    ones = np.ones((4, 1), np.float32)
    assert [add(overlap, ones).final, overlap.flush().final] == [2, 2]

    assert [add(overlap, ones).final, overlap.flush().final] == [0, 1]


def test_after_a_reset_nothing_is_left_of_before() -> None:
    overlap = Overlap(cells=4, hop=2, lag=1, labels=1)
    add(overlap, np.ones((4, 1), np.float32))

    overlap.reset()

    assert overlap.flush().final == 0
    assert not add(overlap, np.zeros((4, 1), np.float32)).answers.any()


def test_what_is_known_of_later_cells_comes_along() -> None:
    overlap = Overlap(cells=4, hop=1, lag=3, labels=1)
    scores = np.arange(4, dtype=np.float32)[:, np.newaxis]

    agreed = add(overlap, scores)

    assert (agreed.answers[0, 0].tolist(), agreed.final) == (scores.tolist(), 1)
