"""Resampling by a whole factor as products of matrices."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from rtclassify.sources import Tap
from rtclassify.sources.convert import MANY, QUALITY, Converter
from rtclassify.sources.decimate import Decimator
from rtclassify.stream import AudioBlock, Samples

FACTOR, RATE, FRAMES = 3, 16_000, 6_000


def noise(frames: int = FRAMES, channels: int = MANY) -> Samples:
    return np.random.default_rng(5).uniform(-1, 1, (frames, channels)).astype(np.float32)


@settings(deadline=None, max_examples=60)
@given(cuts=st.lists(st.integers(0, FRAMES), max_size=12))
def test_how_frames_were_cut_never_shows(cuts: list[int]) -> None:
    frames = noise()
    whole = Decimator(FACTOR, MANY).resample_chunk(frames, last=True)
    decimator = Decimator(FACTOR, MANY)

    parts = [
        decimator.resample_chunk(frames[start:end])
        for start, end in itertools.pairwise([0, *sorted(cuts)])
    ]
    parts.append(decimator.resample_chunk(frames[max(cuts, default=0) :], last=True))

    assert np.array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("hz", [50.0, 1_000.0, 5_000.0, 7_000.0])
@pytest.mark.parametrize("factor", [2, 3, 6])
def test_what_fits_into_the_new_band_stays_where_and_what_it_was(factor: int, hz: float) -> None:
    frames = np.arange(RATE * factor)[:, np.newaxis] / (RATE * factor)
    wave = np.sin(2 * np.pi * hz * frames).astype(np.float32)

    made = Decimator(factor, 1).resample_chunk(wave, last=True)

    inside = slice(100, RATE - 100)
    assert np.abs(made[:RATE] - wave[::factor])[inside].max() < 2e-3


@pytest.mark.parametrize("hz", [8_300.0, 10_000.0, 15_000.0, 23_000.0])
def test_what_does_not_fit_is_60_db_down(hz: float) -> None:
    frames = np.arange(RATE * FACTOR)[:, np.newaxis] / (RATE * FACTOR)
    wave = np.sin(2 * np.pi * hz * frames).astype(np.float32)

    made = Decimator(FACTOR, 1).resample_chunk(wave)

    assert np.abs(made[100:]).max() < 10 ** (-60 / 20)


def test_it_begins_anew() -> None:
    decimator = Decimator(FACTOR, MANY)
    first = decimator.resample_chunk(noise())
    decimator.clear()

    assert np.array_equal(decimator.resample_chunk(noise()), first)


def wide() -> Converter:
    taps = [Tap(f"c{number}", (number,)) for number in range(MANY)]
    return Converter(taps, source="card", inputs=MANY, rate_in=48_000, rate=RATE)


def test_many_channels_of_a_card_sound_as_few_do() -> None:
    """Low ones: towards the end of the band the two filters fall off each in its own way."""
    frames = (np.cumsum(noise(48_000), axis=0) / 100).astype(np.float32)
    convert = wide()

    blocks = [item for item in convert.push(0, frames, None) if isinstance(item, AudioBlock)]

    for number, block in enumerate(blocks):
        alone = soxr.resample(frames[:, number], 48_000, RATE, quality=QUALITY)
        assert np.abs(block.samples - alone[: len(block.samples)]).max() < 1e-3


def test_a_wide_cards_audio_waits_three_milliseconds_at_most() -> None:
    convert = wide()
    for end in range(1_000, 48_001, 1_000):
        convert.push(end - 1_000, noise(1_000), None)
        assert end / 48_000 - convert.end / RATE < 0.0032


@pytest.mark.parametrize("end", [1, 100, 1_234, 8_000])
def test_as_many_frames_as_it_asks_for_deliver_what_is_due(end: int) -> None:
    convert = wide()
    convert.push(0, noise(convert.frames_for(end)), None)
    assert convert.end >= end
