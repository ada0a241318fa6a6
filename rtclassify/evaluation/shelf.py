"""Recordings by kind and source, and the stretches that trials and programmes take of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from rtclassify.corpus.decode import FULL_SCALE, Stored
from rtclassify.evaluation.tracks import Track, joined, loudness, nothing, track
from rtclassify.evaluation.trial import LABELS, frame_samples, frames_in
from rtclassify.stream import Samples

SINGING = "singing"
"""A kind of its own here, though its label is music."""
GAP_FRAMES = (2, 4)
"""Between clips: shorter than a pause that would part what is said."""
EDGE_S = 0.005
FLOOR_DB = -60.0
"""The noise under what is strung together: no join is digital silence."""

Recordings = Mapping[str, Sequence[tuple[str, Stored]]]


def labels_of(kind: str) -> frozenset[str]:
    """Return the labels of a kind: those of ``dataset.Clip``, or `SINGING`."""
    if kind == "both":
        return frozenset(LABELS)
    return frozenset({"music" if kind == SINGING else kind} & set(LABELS))


def floats(audio: Stored) -> Samples:
    """Return 16-bit samples in [-1, 1]."""
    return audio.astype(np.float32) / np.float32(FULL_SCALE)


def strung(tracks: Sequence[Track], rng: np.random.Generator) -> Track:
    """String tracks of the same labels together, with gaps and a floor of low noise."""
    row = [tracks[0]]
    for one in tracks[1:]:
        gap = int(rng.integers(*GAP_FRAMES, endpoint=True))
        row += [nothing(gap, one.labels, one.rate), one]
    whole = joined(row)
    floor = np.float32(loudness(whole.audio, whole.rate) * 10 ** (FLOOR_DB / 20))
    noise = floor * rng.standard_normal(len(whole.audio), np.float32)
    return replace(whole, audio=whole.audio + noise)


def _smooth(clip: Stored, rate: int) -> Samples:
    """Fade the edges, and fill up to whole frames."""
    audio = floats(clip)
    edge = min(int(EDGE_S * rate), len(audio) // 2)
    ramp = np.linspace(0.0, 1.0, edge, dtype=np.float32)
    audio[:edge] *= ramp
    audio[len(audio) - edge :] *= ramp[::-1]
    whole = frames_in(len(audio), rate) * frame_samples(rate)
    return np.pad(audio, (0, whole - len(audio)))


class Shelf:
    """Recordings to draw from; a programme owns one.

    Args:
        recordings: By kind, each with its source.
        rate: Samples per second of all of them.
        rng: Everything random comes from it.
    """

    def __init__(self, recordings: Recordings, rate: int, rng: np.random.Generator) -> None:
        self._rate = rate
        self._rng = rng
        self._sources: dict[str, list[list[Stored]]] = {}
        for kind, some in recordings.items():
            sources: dict[str, list[Stored]] = defaultdict(list)
            for source, audio in some:
                sources[source].append(audio)
            self._sources[kind] = list(sources.values())

    def __contains__(self, kind: str) -> bool:
        return bool(self._sources.get(kind))

    def draw(self, kind: str, frames: int, *, level_dbfs: float) -> Track:
        """Draw `frames` of one source, each source as likely; its clips follow as they lie.

        Silence at their ends is left out.
        """
        clips = self._sources[kind][self._rng.integers(len(self._sources[kind]))]
        index = int(self._rng.integers(len(clips)))
        first = self._track(kind, clips[index])
        start = int(self._rng.integers(max(1, first.frames - frames)))
        row = [first.cut(start, start + frames).trimmed()]
        while sum(one.frames for one in row) < frames:
            index = (index + 1) % len(clips)
            row.append(self._track(kind, clips[index]))
        return strung(row, self._rng).cut(0, frames).levelled(level_dbfs)

    def _track(self, kind: str, clip: Stored) -> Track:
        return track(_smooth(clip, self._rate), labels_of(kind), self._rate).trimmed()
