"""Windows to learn from: scenes of layers, drawn from a library, mixed and distorted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from rtclassify.training import augment, synthetic
from rtclassify.training.dataset import LABELS
from rtclassify.training.feed import Batch
from rtclassify.training.layers import LEVEL, Layer, Mixture, Scene, ducked, levelled, mix, quieter
from rtclassify.training.library import Library
from rtclassify.training.shaping import happens

BABBLE_VOICES = (6, 10)
BABBLE_ODDS, RECORDED_ODDS = 0.2, 0.55
BED_ODDS = 0.35
BEDS = 100
BED_DB = (-50.0, -15.0)


class Mixer:
    """Makes windows of a library; one generator owns each.

    Args:
        library: At least speech and music.
        window: Samples in a window.
        rng: Everything random comes from it.
    """

    def __init__(self, library: Library, window: int, rng: np.random.Generator) -> None:
        self._library = library
        self._window = window
        self._rng = rng
        self._beds = [synthetic.bed(window, library.rate, rng) for _ in range(BEDS)]
        self._scenes: list[Callable[[], Scene]] = [
            self.speech,
            self.music,
            self.other,
            self.speech_over_music,
            self.speech_in_noise,
            self.music_in_noise,
            self.layered_music,
            self.change,
            self.talk_over,
            self.both,
        ]
        odds = np.array([0.18, 0.18, 0.18, 0.15, 0.06, 0.03, 0.05, 0.1, 0.07, 0.0])
        if "both" in library.voices:
            odds[-1] = 0.1
        self._odds = odds / odds.sum()

    def window(self) -> Mixture:
        """Return a distorted window."""
        layers = self._scenes[self._rng.choice(len(self._odds), p=self._odds)]()
        made = mix(layers, self._library.rate)
        return replace(made, audio=augment.distort(made.audio, self._library.rate, self._rng))

    def batches(self, size: int) -> Iterator[Batch]:
        """Yield batches of `size` windows for ever."""
        while True:
            made = [self.window() for _ in range(size)]
            yield Batch(
                np.stack([window.audio for window in made]),
                np.stack([window.share for window in made]),
                np.stack([window.ticks for window in made]),
            )

    def speech(self) -> Scene:
        """One voice."""
        return [self._stretch("speech")]

    def music(self) -> Scene:
        """One piece."""
        return [self._stretch("music")]

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
        return [self._stretch("speech"), quieter(self._noise(), self._rng.uniform(3.0, 30.0))]

    def music_in_noise(self) -> Scene:
        """A piece above noise."""
        return [self._stretch("music"), quieter(self._noise(), self._rng.uniform(6.0, 30.0))]

    def layered_music(self) -> Scene:
        """Two pieces at once, as a song is a voice and a band."""
        return [
            self._stretch("music"),
            quieter(self._stretch("music"), self._rng.uniform(-6.0, 12.0)),
        ]

    def speech_over_music(self) -> Scene:
        """A presenter over a record, from 6 dB below it to 18 above, often ducking it."""
        return self.voice_over(above_db=self._rng.uniform(-6.0, 18.0))

    def voice_over(self, *, above_db: float) -> Scene:
        """A voice that is `above_db` louder than the music under it."""
        voice, record = self._stretch("speech"), self._stretch("music")
        if happens(self._rng, 0.4):
            depth = self._rng.uniform(0.2, 0.7)
            record = replace(record, audio=ducked(record.audio, voice.audio, depth))
        return [voice, quieter(record, above_db)]

    def talk_over(self) -> Scene:
        """A presenter who begins or ends within a window of music."""
        voice, record = self.speech_over_music()
        at, fade = self._rng.uniform(0.1, 0.9), self._rng.uniform(0.0, 0.05)
        start, end = (at, 1.0) if happens(self._rng, 0.5) else (0.0, at)
        return [replace(voice, start=start, end=end, fade_in=fade, fade_out=fade), record]

    def change(self) -> Scene:
        """One scene gives way to another: a cut, a crossfade or a moment of nothing."""
        at = self._rng.uniform(0.05, 0.95)
        overlap = self._rng.choice([0.0, self._rng.uniform(0, 0.3), -self._rng.uniform(0, 0.15)])
        fade = max(overlap, self._rng.choice([0.0, 0.02, 0.1]))
        drop_db = self._rng.uniform(-8.0, 8.0)
        before = [replace(a, end=at + overlap / 2, fade_out=fade) for a in self._plain()]
        after = [
            replace(quieter(b, drop_db), start=at - overlap / 2, fade_in=fade)
            for b in self._plain()
        ]
        return [*before, *after]

    def _plain(self) -> Scene:
        return self._scenes[self._rng.choice(4, p=(0.32, 0.34, 0.2, 0.14))]()

    def _stretch(self, kind: str) -> Layer:
        voice = self._library.draw(kind, self._rng)
        audio = self._library.stretch(voice, self._window, self._rng)
        audio = levelled(audio)
        if happens(self._rng, BED_ODDS):
            under = np.roll(self._beds[self._rng.integers(BEDS)], self._rng.integers(self._window))
            audio += under * np.float32(LEVEL * 10 ** (self._rng.uniform(*BED_DB) / 20))
        labels = frozenset(LABELS) if kind == "both" else frozenset({kind} & set(LABELS))
        return Layer(audio, labels)

    def made_noise(self) -> Scene:
        """Noise that was never recorded: synthetic, or a crowd mixed of many voices."""
        if happens(self._rng, BABBLE_ODDS):
            voices = [self._stretch("speech") for _ in range(self._rng.integers(*BABBLE_VOICES))]
            audio = np.sum([voice.audio for voice in voices], axis=0)
        else:
            audio = synthetic.make(self._window, self._library.rate, self._rng)
        return [Layer(levelled(audio), frozenset())]

    def _noise(self) -> Layer:
        if "other" in self._library.voices and happens(self._rng, RECORDED_ODDS):
            return self._stretch("other")
        return self.made_noise()[0]
