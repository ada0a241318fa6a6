"""The windows that a model gets most wrong, with their audio, for people to look at and hear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtclassify.corpus.decode import Stored
from rtclassify.evaluation.trial import FRAME_S, LABELS, UNHEARD, Scored, Trial, frame_samples
from rtclassify.evaluation.truth import judged, windows
from rtclassify.stream import Samples


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A window and how wrong it is.

    Args:
        wrongness: Mean distance from the truth of the worse answer, over its judged frames.
        place: The recording, or the name of a synthesised programme.
        start_s: Where in it the window begins.
        source: The collection.
        condition: What was done to it.
        audio: 16-bit, as the model heard it.
        rate: Samples per second.
        truth: Shape (frames, labels).
        scores: Shape (frames, labels).
    """

    wrongness: float
    place: str
    start_s: float
    source: str
    condition: str
    audio: Stored
    rate: int
    truth: Samples
    scores: Samples


class Worst:
    """Keeps the worst windows of all that are shown to it, at most one of each recording.

    Args:
        most: How many.
    """

    def __init__(self, most: int = 20) -> None:
        self._most = most
        self._kept: dict[str, Window] = {}

    @property
    def windows(self) -> Sequence[Window]:
        """Those kept, the worst first."""
        return sorted(self._kept.values(), key=lambda window: -window.wrongness)

    def listed(self) -> list[dict[str, Any]]:
        """Say where they are, for JSON, so that they can be heard again."""
        return [_facts(window) for window in self.windows]

    def show(self, trial: Trial, scored: Scored) -> None:
        """Keep the trial's worst window if it is among the worst; audio is copied."""
        mask = judged(scored.truth)
        distance = np.where(mask, np.abs(scored.truth - scored.scores), 0.0).max(axis=1)
        whole = np.asarray(mask.all(axis=1))
        ranked = [(float(np.mean(distance[w][whole[w]])), w) for w in windows(whole)]
        if not ranked:
            return
        wrongness, worst = max(ranked, key=lambda pair: pair[0])
        before = self._kept.get(trial.name)
        if before is None or before.wrongness < wrongness:
            self._kept[trial.name] = _cut(trial, scored, worst, wrongness)
        if len(self._kept) > self._most:
            del self._kept[min(self._kept, key=lambda name: self._kept[name].wrongness)]


def _cut(trial: Trial, scored: Scored, window: slice, wrongness: float) -> Window:
    step = frame_samples(trial.rate)
    place, start_s = _place(trial, window.start)
    return Window(
        wrongness,
        place,
        start_s,
        trial.source,
        trial.condition,
        trial.audio[window.start * step : window.stop * step].copy(),
        trial.rate,
        scored.truth[window],
        scored.scores[window],
    )


def _place(trial: Trial, frame: int) -> tuple[str, float]:
    """Return the recording that holds a frame, and the second in it at which it is heard."""
    for part in trial.parts:
        if frame < part.end:
            return str(part.path), part.start_s + max(0, frame - part.start) * FRAME_S
    return trial.name, frame * FRAME_S


def _facts(window: Window) -> dict[str, Any]:
    known = [column[column != UNHEARD] for column in window.truth.T]
    return {
        "path": window.place,
        "start_s": round(window.start_s, 1),
        "source": window.source,
        "condition": window.condition,
        "wrongness": window.wrongness,
        "truth": {
            label: float(column.mean()) if len(column) else None
            for label, column in zip(LABELS, known, strict=True)
        },
        "scores": dict(zip(LABELS, window.scores.mean(axis=0).tolist(), strict=True)),
    }
