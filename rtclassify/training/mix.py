"""Windows to learn from: scenes of layers, drawn from a library, mixed and distorted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from rtclassify.corpus.dataset import LABELS
from rtclassify.training import augment
from rtclassify.training.feed import Batch
from rtclassify.training.layers import Layer, Mixture, Scene, ducked, levelled, mix, quieter
from rtclassify.training.library import Library
from rtclassify.training.shaping import happens
from rtclassify.training.spectra import Power

BABBLE_VOICES = (6, 10)
BABBLE_ODDS, MADE_ODDS = 0.1, 0.45
OVERLAP_ODDS = 0.15
BED_ODDS, BED_DB = 0.3, (-50.0, -15.0)
OVER_MUSIC_DB = (-9.0, 16.0)
DUCKING_ODDS, DUCKING_DB = 0.4, (2.0, 12.0)
NOTHING_ODDS, NOTHING_SHARE = 0.3, 0.3
"""How often a change is to or from nothing; of a window, how long nothing parts scenes at most."""
FADE_SHARE = 0.2
"""How long a voice or a record fades that begins or ends over the other, at most."""
ROOM_ODDS = 0.2
"""How often a sound was in a room before it is mixed, as a voice in a hall under dry music."""

MADE = "made"
"""The kind of noise that was synthesised, of which beds are made too."""
SONG = "song"
"""The kind of song that was made of speech."""
SINGING = "singing"
"""The kind of recordings of sung music."""
TUNE = "tune"
"""The kind of music that was made up."""
SUNG = {SONG: 0.1, SINGING: 0.18}
PIECES = SUNG | {TUNE: 0.12, "music": 0.6}
"""How often a layer of music is of which kind, where there are all of them."""


class Mixer:
    """Makes windows of a library; one generator owns each.

    Args:
        library: At least speech, music and `MADE`.
        frames: In a window.
        rng: Everything random comes from it.
    """

    def __init__(self, library: Library, frames: int, rng: np.random.Generator) -> None:
        self._library = library
        self._frames = frames
        self._rng = rng
        odds: dict[Callable[[], Scene], float] = {
            self.speech: 0.16,
            self.music: 0.16,
            self.other: 0.15,
            self.speech_over_music: 0.2,
            self.speech_in_noise: 0.1,
            self.music_in_noise: 0.06,
            self.layered_music: 0.08,
            self.change: 0.13,
            self.talk_over: 0.1,
        }
        if "both" in library.voices:
            odds[self.both] = 0.1
        self._scenes = list(odds)
        self._odds = np.cumsum(list(odds.values())) / sum(odds.values())

    def window(self) -> Mixture:
        """Return a distorted window."""
        made = mix(self._scenes[int(np.searchsorted(self._odds, self._rng.random()))]())
        return replace(made, power=augment.distort(made.power, self._library.bands, self._rng))

    def batches(self, size: int) -> Iterator[Batch]:
        """Yield batches of `size` windows for ever."""
        while True:
            made = [self.window() for _ in range(size)]
            yield Batch(
                np.sqrt(np.stack([window.power for window in made])),
                np.stack([window.present for window in made]),
            )

    def speech(self) -> Scene:
        """One voice, now and then another that talks at the same time."""
        voice = self._stretch("speech")
        if happens(self._rng, OVERLAP_ODDS):
            return [voice, quieter(self._stretch("speech"), self._rng.uniform(0.0, 12.0))]
        return [voice]

    def music(self) -> Scene:
        """One piece."""
        return [self._music()]

    def both(self) -> Scene:
        """A recording in which both are heard."""
        return [self._stretch("both")]

    def other(self) -> Scene:
        """Noise: recorded, made, a crowd's babble, or two of these."""
        first = self._noise()
        if happens(self._rng, 0.25):
            return [first, quieter(self._noise(), self._rng.uniform(0.0, 15.0))]
        return [first]

    def speech_in_noise(self) -> Scene:
        """A voice above noise."""
        return [self._stretch("speech"), quieter(self._noise(), self._rng.uniform(0.0, 30.0))]

    def music_in_noise(self) -> Scene:
        """A piece above noise."""
        return [self._music(), quieter(self._noise(), self._rng.uniform(3.0, 30.0))]

    def layered_music(self) -> Scene:
        """Two pieces at once, mostly as a song is a voice and a band."""
        first = self._music(SUNG if happens(self._rng, 0.7) else PIECES)
        return [first, quieter(self._music(), self._rng.uniform(-6.0, 12.0))]

    def speech_over_music(self) -> Scene:
        """A presenter over a record, often ducking it."""
        return self._over(self._stretch("speech"), self._music())

    def talk_over(self) -> Scene:
        """A presenter over a record, one of which begins or ends within the window."""
        voice, record = self._stretch("speech"), self._music()
        if happens(self._rng, 0.5):
            return self._over(self._part(voice), record)
        return self._over(voice, self._part(record))

    def change(self) -> Scene:
        """One scene gives way to another: a cut, a crossfade or a moment of nothing.

        Now and then there is nothing at all before or after.
        """
        at = self._rng.uniform(0.05, 0.95)
        overlap = self._rng.choice(
            [0.0, self._rng.uniform(0, 0.3), -self._rng.uniform(0, NOTHING_SHARE)]
        )
        fade = max(overlap, self._rng.choice([0.0, 0.02, 0.1]))
        drop_db = self._rng.uniform(-8.0, 8.0)
        before = [replace(a, end=at + overlap / 2, fade_out=fade) for a in self._plain()]
        after = [
            replace(quieter(b, drop_db), start=at - overlap / 2, fade_in=fade)
            for b in self._plain()
        ]
        if happens(self._rng, NOTHING_ODDS):
            return before if happens(self._rng, 0.5) else after
        return [*before, *after]

    def _over(self, voice: Layer, record: Layer) -> Scene:
        """Lay a voice over a record, which is often ducked."""
        if happens(self._rng, DUCKING_ODDS):
            depth_db = self._rng.uniform(*DUCKING_DB)
            record = replace(record, power=ducked(record.power, voice.heard(), depth_db))
        return [voice, quieter(record, self._rng.uniform(*OVER_MUSIC_DB))]

    def _part(self, layer: Layer) -> Layer:
        """Let a layer begin or end within the window, at once or with a fade."""
        at = self._rng.uniform(0.05, 0.95)
        fade = self._rng.choice([0.0, self._rng.uniform(0.0, FADE_SHARE)])
        if happens(self._rng, 0.5):
            return replace(layer, start=at, fade_in=fade)
        return replace(layer, end=at, fade_out=fade)

    def _plain(self) -> Scene:
        return self._scenes[self._rng.choice(4, p=(0.32, 0.34, 0.2, 0.14))]()

    def _music(self, odds: Mapping[str, float] = PIECES) -> Layer:
        there = [kind for kind in odds if kind in self._library.voices] or ["music"]
        shares = np.array([odds.get(kind, 1.0) for kind in there])
        return self._stretch(str(self._rng.choice(there, p=shares / shares.sum())))

    def _stretch(self, kind: str) -> Layer:
        power = self._drawn(kind)
        if happens(self._rng, ROOM_ODDS):
            power = augment.roomy(power, self._library.bands, self._rng)
        power = levelled(power)
        if happens(self._rng, BED_ODDS):
            bed = levelled(self._drawn(MADE))
            power = power + bed * np.float32(10 ** (self._rng.uniform(*BED_DB) / 10))
        return Layer(power, LABELS_OF[kind])

    def _noise(self) -> Layer:
        if happens(self._rng, BABBLE_ODDS):
            return self.babble()
        recorded = "other" in self._library.voices and not happens(self._rng, MADE_ODDS)
        return self._stretch("other" if recorded else MADE)

    def babble(self) -> Layer:
        """A crowd, in which no voice stands out."""
        voices = [
            levelled(self._drawn("speech")) for _ in range(self._rng.integers(*BABBLE_VOICES))
        ]
        return Layer(levelled(sum(voices[1:], voices[0])), frozenset())

    def _drawn(self, kind: str) -> Power:
        voice = self._library.draw(kind, self._rng)
        return self._library.stretch(voice, self._frames, self._rng, wild=not LABELS_OF[kind])


LABELS_OF = {
    "speech": frozenset({"speech"}),
    "music": frozenset({"music"}),
    **dict.fromkeys((SONG, SINGING, TUNE), frozenset({"music"})),
    "both": frozenset(LABELS),
    "other": frozenset[str](),
    MADE: frozenset[str](),
}
