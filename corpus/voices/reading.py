"""Sentences without sense in many languages, read aloud.

Words are drawn by how often they occur, so that what is said sounds like its language.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import wordfreq
from kokoro_parts import RATE, Curve, Kokoro, voiced
from piper import PiperVoice, SynthesisConfig
from piper.phonemize_espeak import EspeakPhonemizer

CLIP_S = 30.0
"""Clips end with the sentence in which this is reached, and a fifth later at most."""
LANGUAGES = {
    "english": {"en-us": "en", "en-gb-x-rp": "en"},
    "romance": {"fr": "fr", "es": "es", "it": "it", "pt-br": "pt", "ro": "ro", "ca": "ca"},
    "germanic": {"de": "de", "nl": "nl", "sv": "sv", "da": "da", "nb": "nb"},
    "slavic": {"pl": "pl", "ru": "ru", "uk": "uk", "bg": "bg", "sl": "sl"},
    "others": {"tr": "tr", "fi": "fi", "hu": "hu", "el": "el", "hi": "hi", "id": "id", "fa": "fa"},
}
"""Collections, and of each the voices of eSpeak that pronounce the words of a language."""
WORDS, SENTENCE, SENTENCES = 3_000, (3, 15), (1, 4)
COMMA, HESITATION, HESITATED = 0.12, 0.02, (2, 6)
ENDS = (".", ".", ".", "?", "!", "…")
PACE, UNEVEN = (0.8, 1.3), (0.9, 1.12)
HIGHER, LIVELIER = 2.5, (0.6, 1.5)
"""Spread in semitones around the voice's own pitch; by what its movements are multiplied."""
PAUSE_S = 0.3
NOISE, UNSTEADY = (0.4, 0.9), 0.9
"""Joe's: how much chance is in his sound and in his rhythm."""
FLOOR_DBFS, PEAK = (-80.0, -60.0), 0.5


class Texts:
    """Sentences, and how they are pronounced."""

    def __init__(self) -> None:
        self._phonemizer = EspeakPhonemizer()

    def sentence(self, language: str, rng: np.random.Generator) -> str:
        """Return words as often as they occur, with commas and an end."""
        words = wordfreq.top_n_list(language, WORDS)
        ranks = np.exp(rng.uniform(0, np.log(len(words)), rng.integers(*SENTENCE))).astype(int)
        said = " ".join(words[rank] + ("," if rng.random() < COMMA else "") for rank in ranks)
        return said.rstrip(",") + str(rng.choice(ENDS))

    def phonemes(self, text: str, espeak: str) -> str:
        """Return how a voice of eSpeak pronounces a text."""
        return "".join("".join(each) for each in self._phonemizer.phonemize(espeak, text))


def read(kokoro: Kokoro, texts: Texts, group: str, rng: np.random.Generator) -> Curve:
    """Read sentences of a language in one voice."""
    voice, pace = kokoro.voice(rng), rng.uniform(*PACE)
    higher, livelier = 2 ** rng.normal(0, HIGHER / 12), rng.uniform(*LIVELIER)
    spoken = list(LANGUAGES[group].items())
    espeak, language = spoken[rng.integers(len(spoken))]

    def said() -> Curve:
        text = " ".join(texts.sentence(language, rng) for _ in range(rng.integers(*SENTENCES)))
        phonemes = kokoro.known(texts.phonemes(text, espeak))
        lengths = kokoro.lengths(phonemes, voice, pace * rng.uniform(*UNEVEN))
        hesitant = rng.random(lengths.shape) < HESITATION
        lengths = np.where(hesitant, lengths * rng.integers(*HESITATED, lengths.shape), lengths)
        pitch, loudness = kokoro.curves(phonemes, voice, lengths)
        told = voiced(pitch)
        middle = np.median(pitch[told]) if told.any() else np.float32(1)
        moved = middle * higher * (np.maximum(pitch, 1) / middle) ** livelier
        return kokoro.sound(phonemes, voice, lengths, np.where(told, moved, pitch), loudness)

    return strung(said, lambda: rng.exponential(PAUSE_S), RATE, rng)


def read_by_joe(joe: PiperVoice, texts: Texts, rng: np.random.Generator) -> Curve:
    """Let Joe read English sentences."""
    how = SynthesisConfig(
        length_scale=1 / rng.uniform(*PACE), noise_scale=rng.uniform(*NOISE), noise_w_scale=UNSTEADY
    )

    def said() -> Curve:
        pieces = joe.synthesize(texts.sentence("en", rng), how)
        return np.concatenate([piece.audio_float_array for piece in pieces])

    return strung(said, lambda: rng.exponential(PAUSE_S), joe.config.sample_rate, rng)


def strung(
    make: Callable[[], Curve], pause_s: Callable[[], float], rate: int, rng: np.random.Generator
) -> Curve:
    """Make pieces until a clip is full, pauses between them, over a floor of noise."""
    pieces: list[Curve] = []
    while sum(map(len, pieces)) < CLIP_S * rate:
        pieces += [make(), np.zeros(int(pause_s() * rate), np.float32)]
    audio = np.concatenate(pieces)[: int(1.2 * CLIP_S * rate)]
    audio *= PEAK / max(float(np.abs(audio).max()), 1e-6)
    floor = 10 ** (rng.uniform(*FLOOR_DBFS) / 20)
    return audio + rng.normal(0, floor, len(audio)).astype(np.float32)
