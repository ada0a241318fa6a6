"""Calibrated answers are as sure as they are right, and say the same as before."""

from __future__ import annotations

import numpy as np
import pytest

from rtclassify.evaluation.measures import reliability
from rtclassify.evaluation.trial import UNHEARD
from rtclassify.networks.column_cnn import ColumnCnn
from rtclassify.stream import Samples
from rtclassify.training import calibrate


def too_sure(times: float) -> tuple[Samples, Samples]:
    """Answers whose logits are so many times what they should be, and the truth."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (400, 20, 2))
    truth = rng.random(logits.shape) < 1 / (1 + np.exp(-logits))
    said = 1 / (1 + np.exp(-times * logits))
    return said.astype(np.float32), truth.astype(np.float32)


def cooled(said: Samples, temperature: float | list[float]) -> Samples:
    """Answers of which the logits are divided."""
    p = np.clip(said.astype(np.float64), 1e-7, 1 - 1e-7)
    return np.asarray(1 / (1 + np.exp(-np.log(p / (1 - p)) / temperature)), np.float32)


@pytest.mark.parametrize("times", [0.5, 1.0, 3.0])
def test_the_temperature_is_how_much_too_sure_the_network_is(times: float) -> None:
    assert calibrate.temperatures(*too_sure(times)) == pytest.approx([times] * 2, rel=0.06)


def test_what_is_not_judged_does_not_count() -> None:
    said, truth = too_sure(1.0)
    said[:100] = 1e-9
    truth[:100] = UNHEARD

    assert calibrate.temperatures(said, truth) == pytest.approx([1.0] * 2, rel=0.06)


def test_a_tail_is_how_much_later_an_answer_ends() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat(rng.integers(0, 2, (100, 2)), 30, axis=0).astype(np.float32)
    late = np.stack([truth[:, 0], np.maximum.reduce([np.roll(truth[:, 1], n) for n in range(4)])])
    said = np.where(late.T == 1, 0.9, 0.1).astype(np.float32)
    truth[::7] = UNHEARD

    assert calibrate.tails(said, truth) == [0, 3]


def test_an_answer_that_ends_early_has_no_tail_nor_has_one_without_an_end() -> None:
    truth = np.repeat(np.array([[1, 1], [0, 1]], np.float32), 30, axis=0)
    said = np.full_like(truth, 0.9)
    said[25:, 0] = 0.1

    assert calibrate.tails(said, truth) == [0, 0]


def test_a_calibrated_model_says_the_same_but_less_surely() -> None:
    model = ColumnCnn().build(frames=249, bands=64, labels=2)
    frames = np.random.default_rng(0).normal(0, 1, (4, 249, 64)).astype(np.float32)
    before = model(frames, training=False).numpy()

    calibrate.apply(model, [2.0, 4.0])

    after = model(frames, training=False).numpy()
    np.testing.assert_allclose(after, cooled(before, [2.0, 4.0]), atol=1e-4)


def test_calibration_brings_the_error_down() -> None:
    said, truth = too_sure(3.0)
    (temperature, _) = calibrate.temperatures(said, truth)

    before, after = (
        reliability(truth[..., 0].ravel() == 1, s[..., 0].ravel()).ece
        for s in (said, cooled(said, temperature))
    )
    assert after < 0.02 < before
