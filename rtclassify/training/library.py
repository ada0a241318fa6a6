"""Decoded clips by kind, collection and voice, and the drawing of stretches from them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from rtclassify.stream import Samples
from rtclassify.training.dataset import Clip
from rtclassify.training.decode import FULL_SCALE, Stored
from rtclassify.training.shaping import happens, white

Take = tuple[Clip, Stored]

# Ten times the audio makes a collection twice as likely.
BALANCE = 0.3
RUNNING_S = 2.0
"""Collections of shorter clips are single words: their share shrinks in proportion."""
CUT_SHARE = 0.2
CUT_S = (1.0, 4.0)
PAUSE_S = (0.05, 0.6)
EDGE_S = 0.005
GAP_DB = -60.0
FLOOR_DB = (-75.0, -40.0)
SPEED_SHARE = 0.3
SPEED = (0.88, 1.14)


class Voice:
    """The clips of one source, in the order of their paths, which keeps a speaker together."""

    def __init__(self, name: str, clips: list[Stored]) -> None:
        self.name = name
        self.clips = clips
        self.samples = sum(map(len, clips))
        self.collection = name.partition("/")[0]
        self._ends = np.cumsum([len(clip) for clip in clips])

    def at(self, sample: int) -> tuple[int, int]:
        """Return which clip `sample` of the whole voice lies in, and where in that clip."""
        index = int(np.searchsorted(self._ends, sample, side="right"))
        return index, sample - int(self._ends[index]) + len(self.clips[index])

    def strung(self, start: int, samples: int, gap: int) -> Samples:
        """Return `samples` from a place on, with a quiet gap at the end of each clip."""
        audio = np.zeros(samples, np.float32)
        index, offset = self.at(start)
        at = 0
        while at < samples:
            piece = self.clips[index][offset : offset + samples - at]
            audio[at : at + len(piece)] = piece
            at += len(piece) + gap
            index, offset = (index + 1) % len(self.clips), 0
        audio /= FULL_SCALE
        floor = np.float32(_rms(audio) * 10 ** (GAP_DB / 20))
        return audio + floor * white(samples, np.random.default_rng(start))


class Library:
    """Voices by kind; the clips are not copied.

    Args:
        takes: Clips with their samples.
        rate: Samples per second of all of them.
    """

    def __init__(self, takes: Iterable[Take], rate: int) -> None:
        self.rate = rate
        clips: dict[str, dict[str, list[Stored]]] = defaultdict(lambda: defaultdict(list))
        for clip, samples in takes:
            clips[clip.kind][clip.source].append(samples)
        self.voices = {
            kind: [Voice(name, parts) for name, parts in sorted(sources.items())]
            for kind, sources in sorted(clips.items())
        }
        self._odds = {kind: self._weigh(voices) for kind, voices in self.voices.items()}

    def seconds(self, kind: str) -> float:
        """Return how much audio of `kind` there is."""
        return sum(voice.samples for voice in self.voices.get(kind, ())) / self.rate

    def draw(self, kind: str, rng: np.random.Generator) -> Voice:
        """Draw a voice; collections are balanced, voices within one count by their length."""
        return self.voices[kind][rng.choice(len(self._odds[kind]), p=self._odds[kind])]

    def stretch(self, voice: Voice, samples: int, rng: np.random.Generator) -> Samples:
        """Draw `samples` of a voice, its clips joined by pauses, over a low floor of noise.

        All kinds are joined, cut and faded alike, so that a join tells nothing. Some stretches
        are played faster or slower.
        """
        speed = rng.uniform(*SPEED) if happens(rng, SPEED_SHARE) else 1.0
        audio = self._join(voice, int(np.ceil(samples * speed)) + 1, rng)
        if speed != 1.0:
            audio = np.interp(np.arange(samples) * speed, np.arange(len(audio)), audio)
        audio = audio[:samples].astype(np.float32)
        floor = _rms(audio) * 10 ** (rng.uniform(*FLOOR_DB) / 20)
        return audio + np.float32(floor) * white(samples, rng)

    def _join(self, voice: Voice, samples: int, rng: np.random.Generator) -> Samples:
        audio = np.zeros(samples, np.float32)
        index, offset = self._begin(voice, samples, rng)
        longest = samples
        if happens(rng, CUT_SHARE):
            longest = int(rng.uniform(*CUT_S) * self.rate)
        at = 0
        while at < samples:
            clip = voice.clips[index]
            piece = clip[offset : offset + min(longest, samples - at)].astype(np.float32)
            _fade(piece, int(EDGE_S * self.rate))
            audio[at : at + len(piece)] = piece / FULL_SCALE
            at += len(piece) + int(rng.uniform(*PAUSE_S) * self.rate)
            index = (index + 1) % len(voice.clips)
            offset = int(rng.integers(max(1, len(voice.clips[index]) - samples)))
        return audio

    def _begin(self, voice: Voice, samples: int, rng: np.random.Generator) -> tuple[int, int]:
        """Choose where to begin: within long clips anywhere that fills, in short ones at 0."""
        index, offset = voice.at(int(rng.integers(voice.samples)))
        return index, min(offset, max(0, len(voice.clips[index]) - samples))

    def _weigh(self, voices: list[Voice]) -> NDArray[np.float64]:
        collections: dict[str, list[Voice]] = defaultdict(list)
        for voice in voices:
            collections[voice.collection].append(voice)
        odds: dict[str, float] = {}
        for members in collections.values():
            total = sum(voice.samples for voice in members)
            mean_s = total / self.rate / sum(len(voice.clips) for voice in members)
            weight = total**BALANCE * min(1.0, mean_s / RUNNING_S)
            odds |= {voice.name: weight * voice.samples / total for voice in members}
        weights = np.array([odds[voice.name] for voice in voices])
        return weights / weights.sum()


def _fade(piece: Samples, length: int) -> None:
    """Fade both ends in place, so that joins do not click."""
    length = min(length, len(piece) // 2)
    if length:
        ramp = np.linspace(0.0, 1.0, length, dtype=np.float32)
        piece[:length] *= ramp
        piece[-length:] *= ramp[::-1]


def _rms(audio: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(audio)))) + 1e-6
