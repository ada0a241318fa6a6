"""Programmes as stations send them, synthesised so that the truth about every frame is known.

A programme is a row of scenes: talk, records, songs, effects, a presenter over a bed, a presenter
over a record's end or beginning. One gives way to the next by a hard cut, a crossfade or a short
silence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from rtclassify.corpus.decode import stored
from rtclassify.errors import DataError
from rtclassify.evaluation.shelf import SINGING, Recordings, Shelf
from rtclassify.evaluation.tracks import Track, mixed
from rtclassify.evaluation.trial import FRAME_S, Trial, frame_samples

PROGRAMME = "programme"
"""The condition's name."""
LEVEL_DBFS = -23.0
TALK_S = (8.0, 25.0)
RECORD_S = (15.0, 35.0)
EFFECTS_S = (4.0, 12.0)
ALONE_S = (2.0, 5.0)
"""How long a bed is heard before and after the presenter."""
OVERLAP_S = (3.0, 9.0)
BED_DB = (-12.0, -4.0)
DUCKING_DB = (8.0, 14.0)
DUCKING_FRAMES = 5
CROSSFADE_S = (0.3, 1.0)
SILENCE_S = (0.6, 1.5)
TRANSITIONS = {"cut": 0.5, "crossfade": 0.35, "silence": 0.15}
DRIFT_DB = 3.0

Scene = list[Track]


def programme(
    recordings: Recordings,
    rate: int,
    *,
    seconds: float,
    seed: int | Sequence[int],
    name: str = PROGRAMME,
) -> Trial:
    """Make a programme of at least `seconds` in which every scene comes up.

    Args:
        recordings: By kind, each with its source; kinds that lack leave out their scenes.
        rate: Samples per second of the recordings and of the programme.
        seconds: It ends with the round of scenes in which this is reached.
        seed: The same recordings and seed make the same programme.
        name: The trial's.

    Raises:
        DataError: If there is nothing that a scene could be made of.
    """
    rng = np.random.default_rng(seed)
    studio = Studio(Shelf(recordings, rate, rng), rate, rng)
    tracks: Scene = []
    while _end(tracks) * FRAME_S < seconds:
        tracks = studio.continued(tracks)
    audio, truth = mixed(tracks)
    return Trial(name, PROGRAMME, PROGRAMME, stored(audio), rate, truth)


def over_music(voice: Track, record: Track, *, above_db: float) -> Scene:
    """Lay a voice over a record as long, `above_db` louder where each is active."""
    return [voice.levelled(LEVEL_DBFS), record.levelled(LEVEL_DBFS - above_db)]


class Studio:
    """Makes scenes and puts them on air one after the other.

    Args:
        shelf: The recordings.
        rate: Samples per second.
        rng: Everything random comes from it.
    """

    def __init__(self, shelf: Shelf, rate: int, rng: np.random.Generator) -> None:
        self._shelf = shelf
        self._rate = rate
        self._rng = rng
        needs: dict[Callable[[], Scene], set[str]] = {
            self.talk: {"speech"},
            self.record: {"music"},
            self.song: {SINGING},
            self.effects: {"other"},
            self.bed: {"speech", "music"},
            self.talk_out: {"speech", "music"},
            self.talk_in: {"speech", "music"},
        }
        self._scenes = [make for make, kinds in needs.items() if all(k in shelf for k in kinds)]
        if not self._scenes:
            raise DataError(
                "There is no recording of speech, music or noise alone to make a programme of; "
                "add some, or ask for no programmes."
            )

    def continued(self, tracks: Scene) -> Scene:
        """Return a programme with every scene once more after it, in any order."""
        for index in self._rng.permutation(len(self._scenes)):
            tracks = self._joined(tracks, self._scenes[index]())
        return tracks

    def talk(self) -> Scene:
        """One speaker."""
        return [self._draw("speech", TALK_S)]

    def record(self) -> Scene:
        """One piece of music."""
        return [self._draw("music", RECORD_S)]

    def song(self) -> Scene:
        """Somebody sings."""
        return [self._draw(SINGING, RECORD_S)]

    def effects(self) -> Scene:
        """Noise."""
        return [self._draw("other", EFFECTS_S)]

    def bed(self) -> Scene:
        """A presenter over music that comes first, goes down while they speak, and stays last."""
        voice = self._draw("speech", TALK_S)
        voice = replace(voice, at=self._frames(ALONE_S))
        bed = self._shelf.draw(
            "music", voice.end + self._frames(ALONE_S), level_dbfs=LEVEL_DBFS
        ).louder(self._rng.uniform(*BED_DB))
        return [self._ducked(bed, voice), voice]

    def talk_out(self) -> Scene:
        """A presenter who begins before a record has faded away."""
        record, voice = self._draw("music", RECORD_S), self._draw("speech", TALK_S)
        voice = replace(voice, at=record.frames - self._frames(OVERLAP_S))
        return [self._ducked(record, voice).faded(out_frames=self._frames(CROSSFADE_S)), voice]

    def talk_in(self) -> Scene:
        """A presenter who speaks into the beginning of a record."""
        record, voice = self._draw("music", RECORD_S), self._draw("speech", TALK_S)
        record = replace(record, at=max(0, voice.frames - self._frames(OVERLAP_S)))
        return [voice, self._ducked(record, voice)]

    def _draw(self, kind: str, length_s: tuple[float, float]) -> Track:
        level_dbfs = LEVEL_DBFS + self._rng.uniform(-DRIFT_DB, DRIFT_DB)
        return self._shelf.draw(kind, self._frames(length_s), level_dbfs=level_dbfs)

    def _frames(self, length_s: tuple[float, float]) -> int:
        return round(self._rng.uniform(*length_s) / FRAME_S)

    def _ducked(self, record: Track, voice: Track) -> Track:
        """Turn a record down while a voice sounds, in half a second, as a desk does."""
        spoken = np.zeros(max(record.end, voice.end))
        spoken[voice.at : voice.end] = voice.sounding.any(axis=1)
        depth = np.convolve(spoken, np.ones(DUCKING_FRAMES) / DUCKING_FRAMES, mode="same")
        gain = 10 ** (-self._rng.uniform(*DUCKING_DB) * depth[record.at : record.end] / 20)
        place = np.arange(len(record.audio)) / frame_samples(self._rate) - 0.5
        curve = np.interp(place, np.arange(record.frames), gain).astype(np.float32)
        return replace(record, audio=record.audio * curve)

    def _joined(self, before: Scene, after: Scene) -> Scene:
        """Let one scene give way to the next."""
        how = self._rng.choice(list(TRANSITIONS), p=list(TRANSITIONS.values()))
        if not before:
            return after
        start = _end(before)
        if how == "silence":
            start += self._frames(SILENCE_S)
        elif how == "crossfade":
            overlap = self._frames(CROSSFADE_S)
            before, after = _leaving(before, overlap), _entering(after, overlap)
            start -= overlap
        return [*before, *(replace(one, at=one.at + start) for one in after)]


def _end(tracks: Scene) -> int:
    return max((one.end for one in tracks), default=0)


def _entering(scene: Scene, frames: int) -> Scene:
    """Fade in what a scene begins with."""
    return [one if one.at else one.faded(in_frames=frames) for one in scene]


def _leaving(scene: Scene, frames: int) -> Scene:
    """Fade out what a scene ends with."""
    end = _end(scene)
    return [one.faded(out_frames=frames) if one.end == end else one for one in scene]
