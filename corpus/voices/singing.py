"""Texts sung to melodies that are made up, alone or as a small choir.

Every vowel gets a note, or several; consonants keep their lengths. What the voice would do with
loudness when it speaks is stretched with the sounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from kokoro_parts import RATE, STEPS, UNIT_S, Curve, Kokoro, Numbers, voiced
from numpy.typing import NDArray
from reading import LANGUAGES, Texts, strung

VOWELS = frozenset("aeiouyæøœɐɑɒɔəɚɛɜɝɤɨɪʉʊʌʏᵻɯɵAIOWY")  # noqa: RUF001
SYLLABLES = ("la", "na", "da", "o", "ɑː", "uː", "ma", "je", "ha", "lu", "du", "no")  # noqa: RUF001
SUNG, VOCALISE = (20, 70), (3, 12)
"""Phonemes of a phrase, syllables of one that has no words."""
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 3, 5, 7, 9, 10), (0, 2, 4, 7, 9))
BPM, TONIC_HZ, LONGEST_S, SHORTEST = (55.0, 150.0), (95.0, 380.0), 2.5, 4
"""Notes last at most this long, and at least so many units."""
RETURN, COMPASS, CADENCE, LAST = 0.88, (-5, 8), 0.6, (1.5, 3.0)
"""How the melody stays near its tonic, how often it ends there, how much longer it does."""
REST_BEATS = (0.0, 2.0)
CHOIR, HARMONY, LATE_S = (2, 4), (-12, -5, 0, 4, 7, 12), (0.0, 0.04)
VIBRATO_HZ, VIBRATO_S = (4.5, 6.5), (0.15, 0.3)
"""How fast, after how long and how slowly it sets in."""
WAVER, WAVER_S = 0.12, 0.06


@dataclass(frozen=True, slots=True)
class Way:
    """A way to sing.

    Args:
        beats: Lengths of notes that are drawn, in beats.
        melisma: How often a vowel goes on with another note.
        vibrato: Greatest depth in semitones.
        glide_s: How long the voice takes from a note to the next.
        leap: Spread of the melody's steps, in degrees of the scale.
        off: Spread of the notes around where they should be, in semitones.
    """

    beats: tuple[float, ...]
    melisma: float
    vibrato: float
    glide_s: float
    leap: float
    off: float


WAYS = (
    Way((0.5, 0.5, 0.5, 1, 1, 2), 0.1, 0.3, 0.06, 1.7, 0.1),  # pop
    Way((0.5, 0.5, 1, 1, 1.5), 0.05, 0.15, 0.05, 1.5, 0.15),  # folk
    Way((0.5, 1, 1, 2, 3), 0.25, 0.5, 0.1, 1.7, 0.1),  # ballad
    Way((0.5, 1, 1, 2, 4), 0.3, 0.9, 0.08, 2.0, 0.05),  # classical
    Way((0.25, 0.5, 0.5, 1, 2), 0.45, 0.5, 0.07, 1.5, 0.1),  # soul
    Way((0.5, 0.5, 0.5, 1, 2), 0.15, 0.1, 0.06, 0.5, 0.08),  # chant
    Way((0.5, 0.5, 1, 1, 2), 0.05, 0.15, 0.1, 1.6, 0.35),  # amateur
)


class Note(NamedTuple):
    """A note: units, and the degree of the scale."""

    units: int
    degree: int


class Singer:
    """Sings phrases of one melody.

    Args:
        kokoro: The voices.
        texts: What they sing.
        group: ``solo``, ``choir``, or ``vocalise``, which has no words.
        rng: Everything random comes from it.
    """

    def __init__(self, kokoro: Kokoro, texts: Texts, group: str, rng: np.random.Generator) -> None:
        self._kokoro, self._texts, self._rng = kokoro, texts, rng
        self._wordless = group == "vocalise"
        self._way = WAYS[rng.integers(len(WAYS))]
        self._beat_s = 60 / rng.uniform(*BPM)
        self._scale = SCALES[rng.integers(len(SCALES))]
        spoken = [each for some in LANGUAGES.values() for each in some.items()]
        self._espeak, self._language = spoken[rng.integers(len(spoken))]
        voices = [kokoro.voice(rng) for _ in range(rng.integers(*CHOIR) if group == "choir" else 1)]
        self._voices = [(voices[0], 0), *((each, int(rng.choice(HARMONY))) for each in voices[1:])]
        self._tonic_hz = np.exp(rng.uniform(*np.log(TONIC_HZ)))
        self._degree = 0.0

    def sing(self) -> Curve:
        """Sing for a clip."""
        return strung(
            self.phrase, lambda: self._rng.uniform(*REST_BEATS) * self._beat_s, RATE, self._rng
        )

    def phrase(self) -> Curve:
        """Sing a phrase in all voices."""
        phonemes = self._phonemes()
        plain = self._kokoro.lengths(phonemes, self._voices[0][0], 1.0)
        lengths, notes = self._score(phonemes, plain)
        places = stretched(plain, lengths)
        held = np.repeat([False, *(sound in VOWELS for sound in phonemes), False], lengths * STEPS)
        parts = []
        for voice, apart in self._voices:
            spoken, loudness = self._kokoro.curves(phonemes, voice, plain)
            melody = self._tonic_hz * 2 ** ((self._melody(notes, len(places)) + apart) / 12)
            pitch = np.where(voiced(spoken)[places] | held, melody, spoken[places])
            part = self._kokoro.sound(phonemes, voice, lengths, pitch, loudness[places])
            late_s = self._rng.uniform(*LATE_S) if len(self._voices) > 1 else 0.0
            parts.append(np.pad(part, (int(late_s * RATE), 0)))
        whole = np.zeros(max(map(len, parts)), np.float32)
        for part in parts:
            whole[: len(part)] += part
        return whole

    def _phonemes(self) -> str:
        rng = self._rng
        while True:
            text = " ".join(rng.choice(SYLLABLES, rng.integers(*VOCALISE)))
            if not self._wordless:
                text = self._texts.phonemes(self._texts.sentence(self._language, rng), self._espeak)
            text = "".join(sound for sound in text if sound.isalpha() or sound == " ")
            known = self._kokoro.known(text[: rng.integers(*SUNG)].strip())
            if VOWELS.intersection(known):
                return known

    def _score(self, phonemes: str, plain: Numbers) -> tuple[Numbers, list[Note]]:
        """Give every vowel its notes; return the lengths of all sounds, and the notes.

        A vowel lasts as long as its notes, less the consonants before the next one.
        """
        lengths = np.maximum(plain, 1)
        starts = [
            at + 1
            for at, sound in enumerate(phonemes)
            if sound in VOWELS and (at == 0 or phonemes[at - 1] not in VOWELS)
        ]
        notes = [Note(int(lengths[: starts[0]].sum()), round(self._degree))]
        for at, until in zip(starts, [*starts[1:], len(lengths)], strict=True):
            mine = [self._note(last=until == len(lengths))]
            while self._rng.random() < self._way.melisma:
                mine.append(self._note(last=until == len(lengths)))
            others = int(lengths[at + 1 : until].sum())
            lengths[at] = max(lengths[at], sum(note.units for note in mine) - others)
            notes += mine
        return lengths, notes

    def _note(self, *, last: bool) -> Note:
        rng, way = self._rng, self._way
        beats = rng.choice(way.beats) * (rng.uniform(*LAST) if last else 1)
        units = max(SHORTEST, round(min(LONGEST_S, beats * self._beat_s) / UNIT_S))
        self._degree = float(np.clip(RETURN * self._degree + rng.normal(0, way.leap), *COMPASS))
        if last and rng.random() < CADENCE:
            self._degree = float(len(self._scale) * round(self._degree / len(self._scale)))
        return Note(units, round(self._degree))

    def _melody(self, notes: list[Note], steps: int) -> NDArray[np.float64]:
        """Return semitones above the tonic at each step, with glides, vibrato and wavering."""
        step_s, rng, way = UNIT_S / STEPS, self._rng, self._way
        curve, swing = np.zeros(0), np.zeros(0)
        for note in notes:
            octave, tone = divmod(note.degree, len(self._scale))
            height = 12 * octave + self._scale[tone] + rng.normal(0, way.off)
            at_s = np.arange(note.units * STEPS) * step_s
            depth = way.vibrato * rng.random() * np.clip((at_s - VIBRATO_S[0]) / VIBRATO_S[1], 0, 1)
            beat = np.sin(2 * np.pi * (rng.uniform(*VIBRATO_HZ) * at_s + rng.random()))
            curve = np.append(curve, np.full(len(at_s), height))
            swing = np.append(swing, depth * beat)
        missing = max(0, steps - len(curve))
        curve = _smooth(np.pad(curve, (0, missing), mode="edge"), way.glide_s / step_s)
        waver = _smooth(rng.normal(0, 1, len(curve)), WAVER_S / step_s)
        return (curve + np.pad(swing, (0, missing)) + WAVER * waver)[:steps]


def stretched(plain: Numbers, lengths: Numbers) -> Numbers:
    """Return which step of the plain curves each step of the stretched ones comes from."""
    starts = STEPS * (np.cumsum(plain) - plain)
    return np.concatenate(
        [
            start + np.arange(STEPS * now) * was // now
            for start, was, now in zip(starts, plain, lengths, strict=True)
        ]
    )


def _smooth(curve: NDArray[np.float64], steps: float) -> NDArray[np.float64]:
    bell = np.hanning(2 * max(1, round(steps)) + 1)
    padded = np.pad(curve, len(bell) // 2, mode="edge")
    return np.convolve(padded, bell / bell.sum(), "valid")
