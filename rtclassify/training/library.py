"""Frames of clips by kind, collection and voice, and the drawing of stretches from them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtclassify.training.bands import Bands
from rtclassify.training.shaping import happens
from rtclassify.training.spectra import Kept, Power, of_frames, power

# Ten times the audio makes a collection twice as likely.
BALANCE = 0.3
RUNNING_S = 2.0
"""Collections of shorter clips are single words: their share shrinks in proportion."""
CUT_SHARE = 0.2
CUT_S = (1.0, 4.0)
PAUSE_S = (0.05, 0.6)
FLOOR_DB = (-75.0, -35.0)
TEMPO_SHARE, TEMPO = 0.5, (0.85, 1.18)
PITCH_SHARE, PITCH = 0.5, (0.8, 1.27)
WILD_TEMPO, WILD_PITCH, BACKWARDS_SHARE = (0.6, 1.7), (0.6, 1.6), 0.4
"""Of noise, which is scarce and stays noise whatever is done to it."""


@dataclass(frozen=True, slots=True, eq=False)
class Take:
    """A clip's frames.

    Args:
        kind: ``speech``, ``music``, ``both`` or ``other``.
        source: As of `Clip`.
        kept: Its frames.
    """

    kind: str
    source: str
    kept: Kept


class Voice:
    """The clips of one source, in the order of their paths, which keeps a speaker together."""

    def __init__(self, name: str, clips: list[Kept]) -> None:
        self.name = name
        self.clips = clips
        self.frames = sum(map(len, clips))
        self.collection = name.partition("/")[0]
        self._ends = np.cumsum([len(clip) for clip in clips])

    def at(self, frame: int) -> tuple[int, int]:
        """Return which clip `frame` of the whole voice lies in, and where in that clip."""
        index = int(np.searchsorted(self._ends, frame, side="right"))
        return index, frame - int(self._ends[index]) + len(self.clips[index])


class Library:
    """Voices by kind.

    Args:
        takes: What there is to draw from.
        bands: Of their frames.
    """

    def __init__(self, takes: Iterable[Take], bands: Bands) -> None:
        self.bands = bands
        clips: dict[str, dict[str, list[Kept]]] = defaultdict(lambda: defaultdict(list))
        for take in takes:
            clips[take.kind][take.source].append(take.kept)
        self.voices = {
            kind: [Voice(name, parts) for name, parts in sorted(sources.items())]
            for kind, sources in sorted(clips.items())
        }
        self._odds = {kind: self._weigh(voices) for kind, voices in self.voices.items()}

    def draw(self, kind: str, rng: np.random.Generator) -> Voice:
        """Draw a voice; collections are balanced, voices within one count by their length."""
        at = int(np.searchsorted(self._odds[kind], rng.random(), side="right"))
        return self.voices[kind][at]

    def stretch(
        self, voice: Voice, frames: int, rng: np.random.Generator, *, wild: bool = False
    ) -> Power:
        """Draw `frames` of a voice, its clips joined by pauses, over a low floor of noise.

        All kinds are joined, cut, slowed, quickened and pitched, so that none of it tells
        anything; what is `wild` further, and sometimes it is played backwards.
        """
        tempo = rng.uniform(*(WILD_TEMPO if wild else TEMPO)) if happens(rng, TEMPO_SHARE) else 1.0
        drawn = self._join(voice, int(np.ceil(frames * tempo)) + 1, rng)
        if tempo != 1.0:
            drawn = _between(drawn, np.arange(frames) * tempo)
        drawn = drawn[:frames]
        if wild and happens(rng, BACKWARDS_SHARE):
            drawn = drawn[::-1]
        if happens(rng, PITCH_SHARE):
            drawn = self.bands.shifted(drawn, rng.uniform(*(WILD_PITCH if wild else PITCH)))
        floor = 10 ** (rng.uniform(*FLOOR_DB) / 10) * of_frames(drawn).mean()
        return drawn + np.float32(floor) * self.bands.white(frames, rng)

    def _join(self, voice: Voice, frames: int, rng: np.random.Generator) -> Power:
        drawn = np.zeros((frames, self.bands.count), np.float32)
        index, offset = self._begin(voice, frames, rng)
        longest = frames
        if happens(rng, CUT_SHARE):
            longest = int(rng.uniform(*CUT_S) / self.bands.step_s)
        at = 0
        while at < frames:
            piece = voice.clips[index][offset : offset + min(longest, frames - at)]
            drawn[at : at + len(piece)] = power(piece)
            at += len(piece) + int(rng.uniform(*PAUSE_S) / self.bands.step_s)
            index = (index + 1) % len(voice.clips)
            offset = int(rng.integers(max(1, len(voice.clips[index]) - frames)))
        return drawn

    def _begin(self, voice: Voice, frames: int, rng: np.random.Generator) -> tuple[int, int]:
        """Choose where to begin: within long clips anywhere that fills, in short ones at 0."""
        index, offset = voice.at(int(rng.integers(voice.frames)))
        return index, min(offset, max(0, len(voice.clips[index]) - frames))

    def _weigh(self, voices: list[Voice]) -> NDArray[np.float64]:
        """Return the running sum of the odds of each voice."""
        collections: dict[str, list[Voice]] = defaultdict(list)
        for voice in voices:
            collections[voice.collection].append(voice)
        odds: dict[str, float] = {}
        for members in collections.values():
            total = sum(voice.frames for voice in members)
            mean_s = total * self.bands.step_s / sum(len(voice.clips) for voice in members)
            weight = total**BALANCE * min(1.0, mean_s / RUNNING_S)
            odds |= {voice.name: weight * voice.frames / total for voice in members}
        weights = np.cumsum([odds[voice.name] for voice in voices])
        weights /= weights[-1]
        weights[-1] = 1.0
        return weights


def _between(frames: Power, places: NDArray[np.floating]) -> Power:
    """Return the frames at fractional places, interpolated."""
    at = places.astype(int)
    part = (places - at).astype(np.float32)[:, None]
    return frames[at] * (1 - part) + frames[at + 1] * part
