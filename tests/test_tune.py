"""Music that is made up: it has notes of a scale, a beat, and no two pieces are alike."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtclassify.stream import Samples
from rtclassify.training import tune
from rtclassify.training.instruments import Beat, Note, Timbre, voiced

RATE = 16_000
PURE = Timbre(
    np.array([1.0]),
    np.array([1.0]),
    attack_s=0.001,
    decay_s=30.0,
    damping=0.0,
    glide_s=0.0,
    vibrato=0.0,
    sweep=0.0,
    bend=0.0,
)


def loudest_hz(audio: Samples) -> float:
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio))))
    return float(np.argmax(spectrum) * RATE / len(audio))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 100_000), samples=st.integers(56_000, 128_000))
def test_a_piece_is_finite_and_of_unit_level(seed: int, samples: int) -> None:
    piece = tune.played(samples, RATE, np.random.default_rng(seed))

    assert piece.shape == (samples,)
    assert piece.dtype == np.float32
    assert np.isfinite(piece).all()
    assert np.sqrt(np.mean(np.square(piece))) == pytest.approx(1.0, rel=1e-3)


def test_the_same_seed_plays_the_same_piece_and_another_does_not() -> None:
    one, again, other = (tune.played(RATE, RATE, np.random.default_rng(seed)) for seed in (1, 1, 2))

    assert np.array_equal(one, again)
    assert not np.allclose(one, other)


@pytest.mark.parametrize("pitch", [0, 7, 24])
def test_a_note_has_its_pitch_and_ends(pitch: int) -> None:
    beat = Beat(2 * RATE, RATE / 8, RATE)
    voice = voiced([Note(0, 8, pitch)], PURE, beat, 110.0, np.random.default_rng(0))

    assert loudest_hz(voice[:RATE]) == pytest.approx(110 * 2 ** (pitch / 12), abs=1.5)
    assert np.abs(voice[RATE + RATE // 10 :]).max() == 0


@pytest.mark.parametrize("part", tune.PARTS)
@pytest.mark.parametrize("seed", range(5))
def test_every_part_keeps_to_the_scale_and_plays_on(part: str, seed: int) -> None:
    scale = tune.SCALES[seed % len(tune.SCALES)]
    harmony = tune.Harmony(scale, np.array([0, 3, 4, 2]))

    voices = tune.PARTS[part](harmony, 100.0, np.random.default_rng(seed))

    for notes in voices:
        assert notes[-1].end >= 84
        assert all(a.start <= b.start for a, b in itertools.pairwise(notes))
        if part != "drone":
            assert {note.pitch % 12 for note in notes} <= set(scale)


def test_drums_beat_in_time() -> None:
    """The pattern comes again: a bar later the same is heard."""
    drums = tune._drums(Beat(8 * 16 * 2_000, 2_000.0, RATE), np.random.default_rng(3))
    energy = np.square(drums).reshape(-1, 500).sum(axis=1)

    bar = 2 * tune.STEPS * 2_000 // 500
    alike = np.corrcoef(energy[:-bar], energy[bar:])[0, 1]
    between = np.corrcoef(energy[: -bar - 2], energy[bar + 2 :])[0, 1]

    assert alike > 0.6
    assert alike > between
