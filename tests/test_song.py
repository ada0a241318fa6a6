"""Speech becomes song: the voice stays, the pitch keeps to notes, the vowels are held."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rtclassify.stream import Samples
from rtclassify.training.song import STYLES, sing, sung

RATE = 16_000
STEADY = replace(STYLES["held"], vibrato=(0.0, 0.3), melisma=0.0)


def talk(seconds: float = 4.0, formant_hz: float = 1_500.0, seed: int = 0) -> Samples:
    """Syllables of a gliding voice with one formant, a hiss before each."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    hz = 95 * 2 ** np.abs(0.77 * time % 2 - 1)
    phase = 2 * np.pi * np.cumsum(hz) / RATE
    voice = np.zeros(len(time))
    for harmonic in range(1, 40):
        level = 1 / harmonic + np.exp(-0.5 * ((harmonic * 120 - formant_hz) / 200) ** 2)
        voice += level * np.sin(harmonic * phase)
    beat = 4 * time % 1
    opened = np.clip(8 * (beat - 0.3), 0, 1) * np.clip(8 * (1 - beat), 0, 1)
    hiss = 0.3 * rng.standard_normal(len(time)) * ((beat > 0.1) & (beat < 0.3))
    return (0.05 * (voice * opened + hiss)).astype(np.float32)


def pitches(audio: Samples) -> np.ndarray:
    """Semitones of the frames that are surely periodic, by autocorrelation."""
    found = []
    for start in range(0, len(audio) - 1_024, 160):
        frame = audio[start : start + 1_024] * np.hanning(1_024)
        alike = np.correlate(frame, frame, "full")[1_023:]
        alike /= (alike[0] + 1e-9) * (1 - np.arange(1_024) / 1_400)
        lag = int(np.argmax(alike[14:220] > 0.97 * alike[14:220].max()) + 14)
        while alike[lag + 1] > alike[lag]:
            lag += 1
        if alike[lag] > 0.85:
            low, peak, high = alike[lag - 1 : lag + 2]
            exact = lag + 0.5 * (low - high) / (low - 2 * peak + high)
            found.append(12 * np.log2(RATE / exact))
    return np.array(found)


def on_notes(semitones: np.ndarray) -> float:
    """How well pitches agree on one tuning: 1 if all lie whole semitones apart, 0 if anywhere."""
    return float(abs(np.mean(np.exp(2j * np.pi * semitones))))


def rms(audio: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))


def share_above(audio: Samples, hz: float) -> float:
    power = np.square(np.abs(np.fft.rfft(audio)))
    return float(power[int(hz * len(audio) / RATE) :].sum() / power.sum())


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("samples", [1, 100, 4_001, 32_000])
def test_a_song_has_the_length_and_level_of_the_speech(style: str, samples: int) -> None:
    speech = talk()[10_000 : 10_000 + samples]
    song = sing(speech, RATE, STYLES[style], np.random.default_rng(0))
    assert song.shape == speech.shape
    assert song.dtype == np.float32
    assert np.isfinite(song).all()
    assert rms(song) == pytest.approx(rms(speech), rel=1e-3)


@pytest.mark.parametrize("rate", [8_000, 22_050])
def test_other_rates_are_sung_too(rate: int) -> None:
    song = sung(talk(), rate, np.random.default_rng(0))
    assert np.isfinite(song).all()
    assert rms(song) == pytest.approx(rms(talk()), rel=1e-3)


def test_the_same_seed_sings_the_same_song_and_another_another() -> None:
    first, again, other = (sung(talk(), RATE, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert abs(np.corrcoef(first, other)[0, 1]) < 0.5


def test_the_speech_is_left_as_it_was() -> None:
    speech = talk()
    sung(speech, RATE, np.random.default_rng(0))
    assert np.array_equal(speech, talk())


def test_silence_stays_silent() -> None:
    assert not sung(np.zeros(8_000, np.float32), RATE, np.random.default_rng(0)).any()


def test_what_holds_no_voice_can_be_sung() -> None:
    click = np.zeros(RATE, np.float32)
    click[5_000] = 0.5
    song = sung(click, RATE, np.random.default_rng(0))
    assert np.isfinite(song).all()
    assert song.any()


def test_the_pitch_of_song_keeps_to_notes() -> None:
    """That of speech glides through everything between them."""
    songs = [sing(talk(), RATE, STEADY, np.random.default_rng(seed)) for seed in range(4)]
    assert np.mean([on_notes(pitches(song)) for song in songs]) > 0.6
    assert on_notes(pitches(talk())) < 0.3


@pytest.mark.parametrize("seed", range(4))
def test_a_held_note_outlasts_a_spoken_vowel(seed: int) -> None:
    """No step of 40 cents for 0.4 s; the spoken vowels have 0.25 s each."""
    steps = np.diff(pitches(sing(talk(), RATE, STEADY, np.random.default_rng(seed))))
    within_octave = np.abs((steps + 6) % 12 - 6)  # a period is at times taken for two
    glides = np.flatnonzero(within_octave > 0.4)
    longest = np.diff([0, *glides, len(steps)]).max()
    assert longest * 0.01 > 0.4


def test_the_mouth_of_the_speech_shapes_the_song() -> None:
    low, high = (
        sing(talk(formant_hz=hz), RATE, STYLES["pop"], np.random.default_rng(3))
        for hz in (700.0, 2_000.0)
    )
    assert share_above(high, 1_400) > 3 * share_above(low, 1_400)


def test_humming_is_duller_than_singing() -> None:
    hummed, pop = (
        np.mean([share_above(sing(talk(), RATE, STYLES[style], rng), 1_000) for _ in range(3)])
        for style, rng in (("hummed", np.random.default_rng(0)), ("pop", np.random.default_rng(0)))
    )
    assert hummed < pop / 2
