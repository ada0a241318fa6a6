"""Counting, pairing and drawing again: the figures against a second, simpler way."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from rtclassify.evaluation import bootstrap, events
from rtclassify.evaluation.measures import auc, reliability
from rtclassify.evaluation.tally import FIELDS, figures, tally
from rtclassify.evaluation.trial import LABELS, UNHEARD, Scored
from rtclassify.evaluation.truth import (
    MARGIN_FRAMES,
    continued,
    judged,
    kinds,
    runs,
    windows,
)
from rtclassify.evaluation.verdict import compare, judge
from rtclassify.stream import Samples

law = settings(deadline=None, max_examples=40)

truths = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 90), st.just(2)),
    elements=st.sampled_from([0.0, 1.0, UNHEARD]),
    fill=st.nothing(),
)
onsets = st.lists(st.integers(0, 40), unique=True, max_size=4).map(sorted).map(np.array)


def timeline(*stretches: tuple[int, float, float]) -> Samples:
    """Frames in which speech and music are as given, for so many frames each."""
    rows = [[(speech, music)] * frames for frames, speech, music in stretches]
    return np.array([pair for row in rows for pair in row], np.float32)


def said(truth: Samples, scores: Samples, *, name: str = "a", condition: str = "clean") -> Scored:
    return Scored(name, "source", condition, len(truth) / 10, truth, scores)


def measured(truth: Samples, scores: Samples) -> dict[str, float]:
    return {name: float(value) for name, value in figures(tally(said(truth, scores))).items()}


@given(truth=truths)
@law
def test_a_frame_counts_if_it_is_known_and_no_boundary_is_near(truth: Samples) -> None:
    for frame, label in np.ndindex(truth.shape):
        near = truth[max(0, frame - MARGIN_FRAMES) : frame + MARGIN_FRAMES + 1]
        steady = all(len(set(column) - {UNHEARD}) < 2 for column in near.T)
        assert judged(truth)[frame, label] == (steady and truth[frame, label] != UNHEARD)


@given(truth=truths)
@law
def test_what_is_not_judged_goes_on_as_before(truth: Samples) -> None:
    for column, held in zip(truth.T, continued(truth).T, strict=True):
        known = [value for value in column if value != UNHEARD]
        last = known[0] if known else 0.0
        for value, here in zip(column, held, strict=True):
            last = last if value == UNHEARD else value
            assert here == last


@given(present=arrays.arrays(np.bool_, st.integers(0, 30)))
@law
def test_runs_are_exactly_what_is_present(present: np.ndarray) -> None:
    found = np.zeros(len(present), bool)
    for start, end in runs(present):
        assert start < end
        assert not found[max(0, start - 1) : end].any()
        found[start:end] = True
    assert (found == present).all()


def test_windows_with_less_than_a_second_judged_are_left_out() -> None:
    whole = np.ones(50 + 50 + 9, bool)
    whole[50:91] = False

    assert [(w.start, w.stop) for w in windows(whole)] == [(0, 50)]


def test_answers_have_four_kinds() -> None:
    answers = np.array([[1, 0], [0, 1], [1, 1], [0, 0]], bool)

    assert kinds(answers).tolist() == [0, 1, 2, 3]


@given(
    truth=arrays.arrays(np.bool_, (40, 2)).map(lambda t: np.repeat(t[:1], 40, axis=0)),
    scores=arrays.arrays(np.float32, (40, 2), elements=st.floats(0, 1, width=32)),
)
@law
def test_rates_are_those_that_a_loop_counts(truth: np.ndarray, scores: Samples) -> None:
    found = measured(truth.astype(np.float32), scores)
    answers = scores >= 0.5

    wrong = sum(any(t != a) for t, a in zip(truth, answers, strict=True))
    assert found["frame_error"] == pytest.approx(wrong / 40)
    rates = []
    for index, label in enumerate(LABELS):
        pairs = list(zip(truth[:, index], answers[:, index], strict=True))
        hits = sum(t and a for t, a in pairs)
        rate = sum(t != a for t, a in pairs) / 40
        known, other = ("missed", "false") if truth[0, index] else ("false", "missed")
        assert found[f"{known}_{label}"] == pytest.approx(rate)
        assert np.isnan(found[f"{other}_{label}"])
        assert found[f"accuracy_{label}"] == pytest.approx(1 - rate)
        sign = -1 if known == "missed" else 1
        assert found[f"bias_{label}"] == pytest.approx(sign * rate)
        if truth[0, index] and hits:
            assert found[f"precision_{label}"] == 1.0
            assert found[f"recall_{label}"] == pytest.approx(hits / 40)
        rates.append(rate)
    assert found["balanced_error"] == pytest.approx(np.mean(rates))


def test_the_half_second_around_a_boundary_does_not_count() -> None:
    truth = timeline((30, 1, 0), (30, 0, 1))
    late = timeline((35, 1, 0), (25, 0, 1))
    later = timeline((36, 1, 0), (24, 0, 1))

    assert measured(truth, late)["frame_error"] == 0.0
    assert measured(truth, later)["frame_error"] == pytest.approx(1 / 50)


def test_an_answer_is_judged_where_only_the_other_is_unknown() -> None:
    truth = timeline((20, UNHEARD, 1))

    found = measured(truth, timeline((20, 1, 0)))

    assert found["missed_music"] == 1.0
    assert np.isnan(found["false_speech"])
    assert np.isnan(found["frame_error"])


def test_a_window_is_what_most_of_it_is() -> None:
    truth = timeline((100, 1, 0))
    scores = timeline((24, 0, 0), (26, 1, 0), (26, 0, 0), (24, 1, 0))

    found = measured(truth, scores)

    assert found["window_error"] == 0.5
    assert found["window_recall_speech"] == 0.5
    assert found["frame_error"] == 0.5


@given(true=onsets, claimed=onsets, collar=st.integers(0, 8))
@law
def test_onsets_are_paired_as_well_as_can_be(
    true: np.ndarray, claimed: np.ndarray, collar: int
) -> None:
    def possible(count: int) -> bool:
        return any(
            all(abs(t - c) <= collar for t, c in zip(some, others, strict=True))
            for some in combinations(true, count)
            for others in permutations(claimed, count)
        )

    found = events.matched(true, claimed, collar)

    assert possible(found)
    assert not possible(found + 1) or found == min(len(true), len(claimed))


@pytest.mark.parametrize(
    ("true", "claimed", "f1"),
    [
        ([100, 140, 225, 265], [99, 139, 200, 236, 264], 6 / 9),
        ([6, 91, 165, 195, 297, 326], [0, 10, 95, 169, 199, 272, 316, 330], 10 / 14),
        ([77, 221, 229, 296, 350], [28, 221, 347], 4 / 8),
        ([60, 89, 180, 199, 330, 347], [56, 85, 158, 192, 208, 326, 343], 8 / 13),
    ],
)
def test_event_f1_is_what_sed_eval_says(true: list[int], claimed: list[int], f1: float) -> None:
    """Computed once with sed_eval 0.2.1: collar 0.5 s, optimal matching, onsets alone."""
    truth, scores = (np.zeros((400, 2), np.float32) for _ in range(2))
    for onsets_of, frames in ((true, truth), (claimed, scores)):
        for onset in onsets_of:
            frames[onset : onset + 3, 0] = 1

    assert measured(truth, scores)["event_f1_speech"] == pytest.approx(f1)


def test_an_event_is_found_within_half_a_second_and_only_once() -> None:
    truth = timeline((50, 0, 0), (50, 1, 0), (50, 0, 0), (50, 1, 0), (50, 0, 1))
    scores = timeline((55, 0, 0), (5, 1, 0), (5, 0, 0), (90, 1, 0), (51, 0, 0), (44, 0, 1))

    assert events.counts(truth, scores).tolist() == [[2, 2, 1], [1, 1, 0]]
    assert measured(truth, scores)["event_f1_speech"] == 0.5
    assert measured(truth, scores)["event_f1"] == pytest.approx(1 / 3)


def test_a_flicker_is_no_event_and_no_pause() -> None:
    claimed = timeline((9, 0, 0), (2, 1, 0), (9, 0, 0), (9, 1, 0), (2, 0, 0), (9, 1, 0))[:, 0] > 0

    assert runs(events.steadied(claimed)).tolist() == [[20, 40]]


def test_recordings_of_one_thing_have_no_events_to_find() -> None:
    truth = timeline((50, 1, 0), (9, UNHEARD, UNHEARD), (50, 1, 0))

    assert np.isnan(measured(truth, truth.clip(0))["event_f1"])


def test_boundaries_are_off_by_the_distance_to_the_nearest_of_their_sort() -> None:
    truth = timeline((50, 1, 0), (50, 0, 1))
    scores = timeline((47, 1, 0), (55, 0, 1))

    assert events.boundary_errors(truth, scores[:100]) == pytest.approx([0.3, 0.3])


def test_a_boundary_that_nobody_claims_costs_five_seconds() -> None:
    truth = timeline((100, 1, 0), (100, 0, 0))

    assert events.boundary_errors(truth, timeline((200, 1, 0))) == [5.0]


@given(
    scores=arrays.arrays(np.float32, 12, elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])),
    present=arrays.arrays(np.bool_, 12),
)
@law
def test_auc_is_the_share_of_pairs_in_order(scores: Samples, present: np.ndarray) -> None:
    pairs = [
        (with_it > without) + (with_it == without) / 2
        for with_it in scores[present]
        for without in scores[~present]
    ]

    found = auc(present, scores)

    assert found == (pytest.approx(np.mean(pairs)) if pairs else None)


def test_calibration_error_is_how_far_shares_are_from_what_was_said() -> None:
    """Nine in ten are there where nine in ten were promised; elsewhere half for a promise of 0."""
    scores = np.array([0.9] * 10 + [0.0] * 10, np.float32)
    present = np.array([True] * 9 + [False] + [True, False] * 5)

    found = reliability(present, scores)

    assert found.ece == pytest.approx(0.25)
    assert found.true == pytest.approx([0.5, 0.9])
    assert found.frames == [10, 10]


def test_certainty_lies_in_the_last_group() -> None:
    found = reliability(np.ones(4, bool), np.ones(4, np.float32))

    assert (found.said, found.true, found.ece) == ([1.0], [1.0], 0.0)


def test_draws_take_recordings_whole_and_as_often_as_they_come() -> None:
    """One of three recordings is all wrong, so it comes 0 to 3 times among the three drawn."""
    rows = np.zeros((6, len(FIELDS)), np.int64)
    rows[:, FIELDS.index("frames")] = 10
    rows[4:, FIELDS.index("frames wrong")] = 10

    found = bootstrap.drawn([*"aabb", "wrong", "wrong"], rows)["frame_error"]

    assert set(found) == {0.0, 1 / 3, 2 / 3, 1.0}
    assert np.mean(found) == pytest.approx(1 / 3, abs=0.04)
    assert bootstrap.interval(found) == (0.0, 1.0)


def test_nothing_measured_has_no_interval() -> None:
    assert bootstrap.interval(np.full(5, np.nan)) is None


def test_a_model_beside_itself_differs_by_nothing() -> None:
    truth = timeline((60, 1, 0), (60, 0, 1))
    scores = np.random.default_rng(0).random(truth.shape).astype(np.float32)
    both = [said(truth, scores, name=name, condition=c) for name in "ab" for c in ("clean", "AM")]

    compared = compare(both, both)

    assert list(compared) == ["all", "clean", "AM"]
    for sides in compared.values():
        assert sides["frame_error"]["difference"] == {"value": 0.0, "interval": (0.0, 0.0)}
        assert sides["frame_error"]["one"]["value"] > 0


def test_groups_are_judged_by_themselves_and_together() -> None:
    speech = timeline((50, 1, 0))
    right, wrong = said(speech, speech), said(speech, 1 - speech, name="b", condition="AM")

    found = judge([right, wrong], name="model")

    assert found["all"]["frame_error"] == 0.5
    assert {n: g["frame_error"] for n, g in found["by_condition"].items()} == {"clean": 0, "AM": 1}
    assert found["by_source_and_condition"]["source"]["AM"]["frame_error"] == 1.0
    assert found["confusion"]["rows_are_truth"][0] == [50, 50, 0, 0]
    assert found["all"]["recordings"] == 2
    assert found["all"]["auc_speech"] is None
    assert found["cpu_s_per_hour"] is None
