"""What the chains do to audio: they limit what they say, keep its time, and are repeatable."""

from __future__ import annotations

import numpy as np
import pytest

from rtclassify.errors import DependencyError
from rtclassify.evaluation import conditions
from rtclassify.evaluation.conditions import CONDITIONS, MP3_32K, OPUS_16K, Codec
from rtclassify.stream import Samples

RATE = 16_000
LATEST_S = 0.005


def bursts(rate: int, seconds: float = 4.0) -> Samples:
    """Noise between 400 and 3,000 Hz that comes and goes as syllables do."""
    rng = np.random.default_rng(7)
    samples = int(seconds * rate)
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    hz = np.fft.rfftfreq(samples, 1 / rate)
    noise = np.fft.irfft(np.where((hz > 400) & (hz < 3_000), spectrum, 0), samples)
    loud = np.repeat(rng.uniform(0.0, 0.3, int(seconds / 0.05)), int(0.05 * rate))
    return (noise * np.resize(loud, samples)).astype(np.float32)


def tone(hz: float, level: float = 0.1, seconds: float = 2.0) -> Samples:
    return (level * np.sin(2 * np.pi * hz * np.arange(seconds * RATE) / RATE)).astype(np.float32)


def heard(name: str, audio: Samples, rate: int = RATE, seed: int = 0) -> Samples:
    return CONDITIONS[name](audio, rate, np.random.default_rng(seed))


def decibels(after: Samples, before: Samples) -> float:
    return float(10 * np.log10(np.mean(np.square(after)) / np.mean(np.square(before))))


def lag(after: Samples, before: Samples) -> int:
    """How many samples late `after` is, found by trying them all."""
    reach = 2_000
    middle = before[reach:-reach]
    scores = [
        np.dot(after[reach + late : reach + late + len(middle)], middle)
        for late in range(-reach, reach)
    ]
    return int(np.argmax(scores)) - reach


@pytest.mark.parametrize("rate", [16_000, 22_050])
@pytest.mark.parametrize("name", CONDITIONS)
def test_audio_stays_where_it_was_from_its_first_second_to_its_last(name: str, rate: int) -> None:
    audio = bursts(rate)

    after = heard(name, audio, rate)

    assert after.dtype == np.float32
    assert len(after) == len(audio)
    for part in (slice(0, rate), slice(-rate, None)):
        assert abs(lag(after[part], audio[part])) <= LATEST_S * rate


@pytest.mark.parametrize(
    ("name", "passed_hz", "stopped_hz"),
    [("telephone", 1_000, 150), ("telephone", 3_000, 4_500), ("AM", 4_000, 6_500)],
)
def test_a_band_passes_and_the_rest_does_not(name: str, passed_hz: int, stopped_hz: int) -> None:
    """Measured at the tones' own frequencies, so that hiss does not count."""
    audio = tone(passed_hz) + tone(stopped_hz)

    after = np.abs(np.fft.rfft(heard(name, audio))) / np.abs(np.fft.rfft(audio)).max()

    assert after[2 * passed_hz] == pytest.approx(1.0, abs=0.15)
    assert after[2 * stopped_hz] < 0.03


def test_nothing_is_left_above_half_of_the_telephones_rate() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 2 * RATE).astype(np.float32)

    spectrum = np.square(np.abs(np.fft.rfft(heard("telephone", noise))))

    assert spectrum[2 * 4_100 :].mean() < 1e-4 * spectrum[2 * 1_000 : 2 * 3_000].mean()


def test_the_telephone_knows_256_levels() -> None:
    assert len(np.unique(heard("telephone", bursts(8_000), 8_000))) <= 256


@pytest.mark.parametrize(("codec", "least_db"), [(MP3_32K, -18), (OPUS_16K, -7)])
def test_a_codec_keeps_what_matters_and_loses_the_rest(codec: Codec, least_db: int) -> None:
    """Its error is neither that of twice the bit rate, or of none, nor as loud as the audio."""
    audio = bursts(RATE)

    error_db = decibels(conditions.coded(audio, RATE, codec) - audio, audio)

    assert least_db < error_db < -3


def test_hiss_lies_25_to_30_db_under_the_programme() -> None:
    audio = tone(1_000)

    spectrum = np.fft.rfft(heard("AM", audio))
    spectrum[2 * 1_000] = 0

    assert -30.5 < decibels(np.fft.irfft(spectrum).astype(np.float32), audio) < -24.5


@pytest.mark.parametrize("pause_s", [0, 3])
def test_quiet_is_45_db_below_full_scale_however_long_the_pauses(pause_s: int) -> None:
    audio = tone(440, level=0.3)

    after = heard("quiet", np.concatenate([audio, np.zeros(pause_s * RATE, np.float32)]))

    assert decibels(after[: len(audio)], np.ones(1, np.float32)) == pytest.approx(-45.0, abs=0.1)


def test_a_limited_sine_is_at_full_scale_while_it_would_be_above() -> None:
    above = 1 - 2 / np.pi * np.arcsin(10 ** (-12 / 20))

    after = heard("limited", tone(440, level=0.01))

    assert np.abs(after).max() == 1.0
    assert np.mean(np.abs(after) > 0.9999) == pytest.approx(above, abs=0.01)


def test_a_room_rings_on_after_a_click_and_adds_no_power() -> None:
    click = np.eye(1, 2 * RATE, dtype=np.float32)[0]

    power = np.square(heard("room", click))

    assert np.argmax(power) == 0
    assert power.sum() == pytest.approx(1.0, abs=0.01)
    assert power[RATE // 10 :].sum() > 0.01
    assert power[int(conditions.DECAY_S[1] * RATE) :].sum() < 1e-6


@pytest.mark.parametrize("name", CONDITIONS)
def test_the_same_seed_sounds_the_same(name: str) -> None:
    audio = bursts(RATE)

    assert np.array_equal(heard(name, audio), heard(name, audio))
    assert np.array_equal(heard(name, audio), heard(name, audio, seed=1)) == (
        name not in {"AM", "room"}
    )


@pytest.mark.parametrize("name", CONDITIONS)
def test_silence_goes_through(name: str) -> None:
    assert np.isfinite(heard(name, np.zeros(RATE, np.float32))).all()


def test_a_codec_that_is_not_there_is_named() -> None:
    with pytest.raises(DependencyError, match="no libnothing"):
        conditions.coded(bursts(RATE), RATE, Codec("libnothing", "mp3float", "s16", RATE, None))
