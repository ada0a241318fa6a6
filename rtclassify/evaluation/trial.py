"""What a model is judged on, and what it said.

Truth and scores share one grid: frames of a tenth of a second from the first sample on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtclassify.corpus.dataset import LABELS
from rtclassify.corpus.decode import Stored
from rtclassify.stream import Samples

__all__ = ["CLEAN", "FRAME_S", "LABELS", "UNHEARD", "Part", "Scored", "Trial", "frames_in"]

FRAME_S = 0.1
UNHEARD = -1.0
"""What stands in a truth where it is not judged or taught."""
CLEAN = "clean"
"""The condition of audio to which nothing was done."""


@dataclass(frozen=True, slots=True)
class Part:
    """Where a stretch of a trial comes from.

    Args:
        path: The recording.
        start: First frame of the trial that the recording fills.
        end: The frame after its last.
        start_s: Where in the recording that is.
    """

    path: Path
    start: int
    end: int
    start_s: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """A stretch of audio whose truth is known.

    Args:
        name: The recording or the programme; what the bootstrap draws.
        source: The collection it comes from.
        condition: What was done to it; `CLEAN` for nothing, ``programme`` for synthesised ones.
        audio: Mono, 16-bit.
        rate: Samples per second.
        truth: What is present when, shape (frames, labels): 1, 0, or `UNHEARD` where it is not
            judged. The labels are `LABELS`, the frames `FRAME_S` long; the last may be shorter.
        parts: The recordings that it was made of; none for synthesised programmes.
    """

    name: str
    source: str
    condition: str
    audio: Stored
    rate: int
    truth: Samples
    parts: Sequence[Part] = ()

    @property
    def duration_s(self) -> float:
        """How long it is."""
        return len(self.audio) / self.rate


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """What was said of a trial.

    Args:
        name: As in `Trial`, and so are `source`, `condition` and `truth`.
        source: The collection.
        condition: What was done to it.
        duration_s: How long it is.
        truth: Shape (frames, labels).
        scores: The probabilities, shape (frames, labels).
        cpu_s: Processor seconds that they took; 0 for labels that somebody else made.
    """

    name: str
    source: str
    condition: str
    duration_s: float
    truth: Samples
    scores: Samples
    cpu_s: float = 0.0


def scored(trial: Trial, scores: Samples, cpu_s: float = 0.0) -> Scored:
    """Keep what judging needs of a trial, which is all but its audio."""
    return Scored(
        trial.name,
        trial.source,
        trial.condition,
        trial.duration_s,
        trial.truth,
        np.asarray(scores, np.float32),
        cpu_s,
    )


def frames_in(samples: int, rate: int) -> int:
    """Return how many frames so many samples make; a last one that is cut short counts."""
    return -(-samples // frame_samples(rate))


def frame_samples(rate: int) -> int:
    """Return how many samples a frame holds."""
    return round(FRAME_S * rate)
