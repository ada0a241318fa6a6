"""A stretch of a recording with what a model makes of it: what figures are drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rtclassify.cli.recording import Recording
from rtclassify.config import LabelSettings
from rtclassify.errors import UsageError
from rtclassify.events import Event, Label, Segment
from rtclassify.pipeline import Pipeline
from rtclassify.stream import AudioBlock, Classifier, Item, Samples


@dataclass(frozen=True, slots=True, eq=False)
class Excerpt:
    """Audio and labels of one stretch, ``[start, end)`` of a recording.

    Args:
        path: The recording.
        model: As the stream names it.
        rate: Samples per second.
        window: Samples that the model hears at a time.
        start: First sample, counted from the recording's beginning.
        audio: Mono, shape (n,); zeros where the recording could not be read.
        labels: Final ones of the hops inside, in order.
        segments: Closed ones, in order.
    """

    path: str
    model: str
    rate: int
    window: int
    start: int
    audio: Samples
    labels: Sequence[Label]
    segments: Sequence[Segment]

    @property
    def end(self) -> int:
        """The index after the last sample."""
        return self.start + len(self.audio)


def hear(path: str, classifier: Classifier, *, start_s: float, duration_s: float) -> Excerpt:
    """Read and label a stretch of the recording at `path`.

    Raises:
        SourceError: If the recording cannot be read.
        UsageError: If less than a window lies in the stretch.
    """
    rate, window = classifier.rate, classifier.window
    start, stop = round(start_s * rate), round((start_s + duration_s) * rate)
    blocks: list[AudioBlock] = []
    events: list[Event] = []
    with Recording(path, rate=rate, window=window) as recording:
        pipeline = Pipeline(classifier, recording.channels, LabelSettings())
        while not recording.ended and recording.length < stop:
            items = _inside(recording.read(), start, stop)
            blocks += [item for item in items if isinstance(item, AudioBlock)]
            events += pipeline.push(items)
    events += pipeline.finish()
    end = min(recording.length, stop)
    if end - start < window and (start > 0 or stop < window):
        raise UsageError(
            f"{path} has {max(0, end - start) / rate:.1f} s between --start and the end of "
            f"--duration, and {classifier.name} hears {window / rate:g} s at a time; widen them."
        )
    return Excerpt(
        path,
        classifier.name,
        rate,
        window,
        start,
        _joined(blocks, start, end),
        [
            replace(e, end=min(e.end, end))
            for e in events
            if isinstance(e, Label) and e.final and e.start < end
        ],
        [
            replace(e, end=min(e.end, end))
            for e in events
            if isinstance(e, Segment) and e.end is not None and e.start < end
        ],
    )


def _inside(items: Sequence[Item], start: int, stop: int) -> list[Item]:
    """Leave out what lies outside ``[start, stop)``; gaps stay whole."""
    kept: list[Item] = []
    for item in items:
        if not isinstance(item, AudioBlock):
            kept.append(item)
        elif item.end > start and item.start < stop:
            before = max(0, start - item.start)
            samples = item.samples[before : stop - item.start]
            kept.append(AudioBlock(item.channel, item.start + before, samples))
    return kept


def _joined(blocks: Sequence[AudioBlock], start: int, end: int) -> Samples:
    audio = np.zeros(end - start, np.float32)
    for block in blocks:
        at = block.start - start
        audio[at : at + len(block.samples)] = block.samples[: max(0, end - block.start)]
    return audio
