"""Sounds on a timeline, and what can be heard when.

The truth about a mix is known in frames. A label is there while a sound of it sounds. Its pauses
below half a second belong to it; longer ones are not judged for that label, nor is where it is so
far below the rest that nobody would hear it. A fade begins or ends a sound in its middle. Where no
sound of a label is laid, it is absent, silence included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from rtclassify.evaluation.trial import FRAME_S, LABELS, UNHEARD, frame_samples
from rtclassify.stream import Samples

Frames = NDArray[np.bool_]

MARGIN_DB = 16.0
"""What is further below a sound's mean power is not active; about that of ITU-T P.56."""
PAUSE_DB = {"speech": 22.0, "music": 35.0}
"""How far below its loudness a sound of a label is taken for silent."""
PAUSE_S = 0.5
AUDIBLE_DB = 30.0
"""A sound further below the whole than this, for `AROUND_S` to both sides, is masked."""
AROUND_S = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One sound, and where it stands in a mix.

    Args:
        audio: As it is heard, a whole number of frames.
        rate: Samples per second.
        labels: Which of `LABELS` it is.
        sounding: Whether it sounds as each of them, shape (frames, labels).
        laid: Whether it is there, be it in a pause; not in the outer half of fades, shape
            (frames,).
        at: The frame of the mix at which it begins.
    """

    audio: Samples
    rate: int
    labels: frozenset[str]
    sounding: Frames
    laid: Frames
    at: int = 0

    @property
    def frames(self) -> int:
        """How long it is."""
        return len(self.laid)

    @property
    def end(self) -> int:
        """The frame of the mix after its last."""
        return self.at + self.frames

    def louder(self, decibels: float) -> Track:
        """Return the track that much louder."""
        return replace(self, audio=self.audio * np.float32(10 ** (decibels / 20)))

    def levelled(self, level_dbfs: float) -> Track:
        """Return the track at a loudness; digital silence stays what it is."""
        there = loudness(self.audio, self.rate)
        return self.louder(level_dbfs - 20 * np.log10(there)) if there else self

    def cut(self, start: int, end: int) -> Track:
        """Return its frames from `start` to `end`."""
        tick = frame_samples(self.rate)
        return replace(
            self,
            audio=self.audio[start * tick : end * tick],
            sounding=self.sounding[start:end],
            laid=self.laid[start:end],
        )

    def trimmed(self) -> Track:
        """Leave out the silence before and after what sounds."""
        places = np.flatnonzero(self.sounding.any(axis=1))
        return self.cut(places[0], places[-1] + 1) if len(places) else self

    def faded(self, *, in_frames: int = 0, out_frames: int = 0) -> Track:
        """Return the track with equal-power fades at its ends."""
        place = np.arange(len(self.audio)) / len(self.audio) * self.frames
        rise = np.clip(place / max(in_frames, 1e-9), 0.0, 1.0)
        fall = np.clip((self.frames - place) / max(out_frames, 1e-9), 0.0, 1.0)
        curve = np.sin(np.pi / 2 * np.minimum(rise, fall)).astype(np.float32)
        middle = np.arange(self.frames) + 0.5
        there = (middle >= in_frames / 2) & (middle < self.frames - out_frames / 2)
        return replace(self, audio=self.audio * curve, laid=self.laid & there)


def track(audio: Samples, labels: frozenset[str], rate: int) -> Track:
    """Lay a recording on a timeline of its own; a frame that is cut short is left off."""
    tick = frame_samples(rate)
    frames = len(audio) // tick
    energy, level = energies(audio, rate), loudness(audio, rate)
    sounding = np.zeros((frames, len(LABELS)), bool)
    for column, label in enumerate(LABELS):
        if label in labels and level:
            sounding[:, column] = energy >= level**2 * 10 ** (-PAUSE_DB[label] / 10)
    return Track(audio[: frames * tick], rate, labels, _closed(sounding), np.ones(frames, bool))


def nothing(frames: int, labels: frozenset[str], rate: int) -> Track:
    """Return a pause."""
    silence = np.zeros(frames * frame_samples(rate), np.float32)
    return Track(
        silence, rate, labels, np.zeros((frames, len(LABELS)), bool), np.ones(frames, bool)
    )


def joined(tracks: Sequence[Track]) -> Track:
    """Return one track of several of the same labels, played in turn."""
    return Track(
        np.concatenate([one.audio for one in tracks]),
        tracks[0].rate,
        tracks[0].labels,
        _closed(np.concatenate([one.sounding for one in tracks])),
        np.concatenate([one.laid for one in tracks]),
    )


def mixed(tracks: Sequence[Track]) -> tuple[Samples, Samples]:
    """Add up tracks.

    Returns:
        The audio, shape (frames' samples,), and the truth, shape (frames, labels): 1, 0 or
        `UNHEARD`.
    """
    rate, frames = tracks[0].rate, max(one.end for one in tracks)
    laid = np.zeros((frames, len(LABELS)), bool)
    heard = np.zeros((frames, len(LABELS)), bool)
    for one in tracks:
        labelled = np.array([label in one.labels for label in LABELS])
        laid[one.at : one.end] |= one.laid[:, np.newaxis] & labelled
        heard[one.at : one.end] |= one.laid[:, np.newaxis] & one.sounding
    whole = _summed(tracks, frames, rate)
    around = _around(energies(whole, rate)) * 10 ** (-AUDIBLE_DB / 10)
    for column, label in enumerate(LABELS):
        part = _summed([one for one in tracks if label in one.labels], frames, rate)
        heard[:, column] &= _around(energies(part, rate)) >= around
    truth = np.where(heard, 1.0, np.where(laid, UNHEARD, 0.0))
    return whole, truth.astype(np.float32)


def _summed(tracks: Sequence[Track], frames: int, rate: int) -> Samples:
    tick = frame_samples(rate)
    audio = np.zeros(frames * tick, np.float32)
    for one in tracks:
        audio[one.at * tick : one.end * tick] += one.audio
    return audio


def energies(audio: Samples, rate: int) -> Samples:
    """Return the mean power of each frame; a frame that is cut short is left off."""
    tick = frame_samples(rate)
    frames = len(audio) // tick
    return np.asarray(np.square(audio[: frames * tick]).reshape(frames, tick).mean(axis=1))


def loudness(audio: Samples, rate: int) -> float:
    """Return the RMS of the frames in which there is something; 0 for digital silence."""
    energy = energies(audio, rate)
    active = energy[energy > energy.mean() * 10 ** (-MARGIN_DB / 10)] if len(energy) else energy
    return float(np.sqrt(active.mean())) if len(active) else 0.0


def _closed(sounding: Frames) -> Frames:
    """Fill pauses shorter than `PAUSE_S`, label by label."""
    closed = sounding.copy()
    for column in range(sounding.shape[1]):
        places = np.flatnonzero(sounding[:, column])
        for before, after in pairwise(places):
            if (after - before - 1) * FRAME_S < PAUSE_S:
                closed[before:after, column] = True
    return closed


def _around(energy: Samples) -> Samples:
    """Return the loudest frame within `AROUND_S` of each."""
    reach = round(AROUND_S / FRAME_S)
    return np.asarray(sliding_window_view(np.pad(energy, reach), 2 * reach + 1).max(axis=1))
