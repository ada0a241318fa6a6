"""The article's recipe: six chunks of each half-minute file, and its numbers.

Its faults that change results are mended here: chunks are split by file and not by chunk, all
chunks of a file are used, validation never trains, and the target really ends training. See
docs/training.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from rtclassify.corpus.dataset import LABELS, Heard
from rtclassify.corpus.decode import FULL_SCALE, Stored
from rtclassify.errors import DataError
from rtclassify.stream import Samples
from rtclassify.training.feed import Batch
from rtclassify.training.recipe import Recipe

CHUNKS = 6
RECIPE = Recipe(
    learning_rate=3e-6,
    cosine=False,
    batch=12,
    epochs=500,
    patience=None,
    target=0.95,
    log_every=5,
    keep_best=False,
    averaging=0.0,
    calibrated=False,
)


def chunks(takes: Sequence[Heard], window: int) -> tuple[Stored, Samples, list[str]]:
    """Cut the first six windows of each file; return audio, targets and sources.

    The network answers speech or music, so what is neither or both is left out.

    Raises:
        DataError: If no file of one of the two is as long as a window.
    """
    audio, targets, sources = [], [], []
    for clip, samples in takes:
        if len(clip.labels) != 1:
            continue
        for at in range(0, min(len(samples) // window, CHUNKS) * window, window):
            audio.append(samples[at : at + window])
            targets.append([float(label in clip.labels) for label in LABELS])
            sources.append(clip.source)
    for column, label in enumerate(LABELS):
        if not any(target[column] for target in targets):
            raise DataError(
                f"No recording of {label} is as long as the article's chunk; "
                "give longer ones, or train --network column_cnn."
            )
    return np.stack(audio), np.array(targets, np.float32), sources


def shuffled(
    audio: Stored, targets: Samples, batch: int, rng: np.random.Generator
) -> Callable[[], Iterator[Batch]]:
    """Return what starts an epoch: every chunk once, in a new order."""

    def epoch() -> Iterator[Batch]:
        order = rng.permutation(len(audio))
        for at in range(0, len(order), batch):
            some = order[at : at + batch]
            windows = audio[some].astype(np.float32) / np.float32(FULL_SCALE)
            yield Batch(windows, targets[some, None])

    return epoch
