"""Pitches beside mel bands: the pitch that is there stands out, loud or soft, also when mixed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtclassify.frontends.harmonic_stft import HarmonicStft
from rtclassify.frontends.log_stft import LogStft
from rtclassify.stream import Samples
from rtclassify.training.bands import Bands
from rtclassify.training.spectra import Listener, power

RATE = 16_000
FRONTEND = HarmonicStft()
PITCHES = np.geomspace(FRONTEND.lowest_hz, FRONTEND.highest_hz, FRONTEND.count)
EXAMPLES = settings(max_examples=20, deadline=None)


def voiced(hz: float, level: float = 0.1) -> Samples:
    """A second of a steady tone with harmonics that fall as those of a voice do."""
    time = np.arange(RATE) / RATE
    harmonics = [np.sin(2 * np.pi * hz * n * time) / n for n in range(1, int(7_000 / hz))]
    return np.asarray(level * np.sum(harmonics, axis=0), np.float32)


def noise(level: float) -> Samples:
    return np.random.default_rng(0).normal(0, level, RATE).astype(np.float32)


def views(audio: Samples) -> tuple[Samples, Samples]:
    frames = FRONTEND.frames(audio[np.newaxis]).numpy()[0]
    return frames[:, ::2], frames[:, 1::2]


def salience(audio: Samples) -> Samples:
    """The mean salience of each pitch."""
    return np.asarray(views(audio)[1].mean(axis=0), np.float32)


def nearest(hz: float) -> int:
    """Which of the pitches is nearest."""
    return int(np.abs(np.log(PITCHES / hz)).argmin())


@EXAMPLES
@given(hz=st.floats(90.0, 800.0))
def test_a_pitch_stands_out_from_its_neighbours(hz: float) -> None:
    found = salience(voiced(hz))

    at = nearest(hz)
    assert found[at - 1 : at + 2].max() == found[max(0, at - 4) : at + 5].max()
    assert found[at] > 5 * np.abs(salience(noise(0.1))).max()


@EXAMPLES
@given(gain_db=st.floats(-20.0, 15.0))
def test_a_pitch_is_as_salient_loud_as_soft(gain_db: float) -> None:
    audio = voiced(220.0) + noise(0.03)

    changed = salience(audio * np.float32(10 ** (gain_db / 20)))

    np.testing.assert_allclose(changed, salience(audio), atol=0.25)


def test_bands_are_those_of_the_log_stft_in_the_middle_of_each_frame() -> None:
    audio, around = noise(0.1), (FRONTEND.length - FRONTEND.mel_length) // 2

    bands, _ = views(audio)

    alone = LogStft().frames(audio[np.newaxis, around:-around]).numpy()[0]
    np.testing.assert_allclose(bands, alone, atol=1e-5)


def test_sounds_add_up_in_both_views() -> None:
    """A voice and noise, added as what is kept of them, are what the sum of their samples is."""
    parts = voiced(220.0), noise(0.02)
    listener = Listener(FRONTEND)

    added = sum(power(listener.keep(part)) for part in parts)

    frames = FRONTEND.compressed(np.sqrt(added)[np.newaxis]).numpy()[0]
    for view, truth in enumerate(views(parts[0] + parts[1])):
        error = frames[:, view::2].mean(axis=0) - truth.mean(axis=0)
        assert np.abs(error).max() < 0.1 * np.ptp(truth)


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_a_shift_moves_the_pitch(factor: float) -> None:
    bands, kept = Bands(FRONTEND), power(Listener(FRONTEND).keep(voiced(300.0)))

    moved = FRONTEND.compressed(np.sqrt(bands.shifted(kept, factor))[np.newaxis]).numpy()[0]

    found, at = moved[:, 1::2].mean(axis=0), nearest(300.0 * factor)
    assert found[at - 1 : at + 2].max() == found[at - 4 : at + 5].max()


def test_what_happens_to_a_band_happens_to_the_bins_in_it() -> None:
    bands = Bands(FRONTEND)
    gain = np.ones(FRONTEND.count, np.float32)
    gain[20] = 0.5

    changed = bands.hz[bands.everywhere(gain) == 0.5]

    mel = bands.hz[: FRONTEND.count]
    assert mel[20] in changed
    assert len(changed) > 1
    assert np.all(np.abs(changed - mel[20]) <= mel[21] - mel[20])
