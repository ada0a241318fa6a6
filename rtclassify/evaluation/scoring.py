"""What a model says of a trial, frame by frame."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from rtclassify.config import LabelSettings
from rtclassify.corpus.decode import FULL_SCALE
from rtclassify.decoding import Decoder
from rtclassify.errors import BundleError
from rtclassify.evaluation.trial import LABELS, Scored, Trial, frame_samples, frames_in, scored
from rtclassify.overlap import Overlap
from rtclassify.stream import Classifier, Samples, Window

AT_ONCE = 64


def scorer(engine: Classifier) -> Callable[[Trial], Scored]:
    """Return what scores trials and takes the processor's time, of all threads.

    Raises:
        BundleError: If the model does not answer about speech and about music.
    """
    missing = [label for label in LABELS if label not in engine.labels]
    if missing:
        raise BundleError(
            f"{engine.name} answers {', '.join(engine.labels)}, not {' and '.join(missing)}; "
            "evaluate a model that answers speech and music."
        )
    columns = [engine.labels.index(label) for label in LABELS]

    def score(trial: Trial) -> Scored:
        audio = trial.audio.astype(np.float32) / np.float32(FULL_SCALE)
        begun = time.process_time()
        scores = frame_scores(engine, audio)
        return scored(trial, scores[:, columns], time.process_time() - begun)

    return score


def frame_scores(engine: Classifier, audio: Samples, *, decoded: bool = True) -> Samples:
    """Score every frame by the cell that its middle lies in, as final labels do.

    What is left at the end without filling a hop gets the answer of the last cell. Audio shorter
    than a window is repeated until it fills one.

    Args:
        engine: Forgets what it heard before.
        audio: Mono at the engine's rate, shape (n,), n > 0.
        decoded: Whether what was heard before and after counts, or windows over a cell alone.

    Returns:
        Probabilities, shape (frames, the engine's labels).
    """
    frames, step = frames_in(len(audio), engine.rate), frame_samples(engine.rate)
    audio = np.resize(audio, max(len(audio), engine.window))
    hops = engine.window // engine.hop
    overlap = Overlap(
        cells=engine.window // engine.cell,
        hop=engine.hop // engine.cell,
        lag=min(round(LabelSettings().final_after_s * engine.rate / engine.hop), hops - 1),
        labels=len(engine.labels),
    )
    decoder = Decoder(tails_s=engine.tails_s, cell_s=engine.cell / engine.rate)
    engine.reset()
    starts = np.arange(0, len(audio) - engine.window + 1, engine.hop)
    only = np.zeros(1, int)
    agreed = [
        one
        for some in np.split(starts, range(AT_ONCE, len(starts), AT_ONCE))
        for one in overlap.add(
            only, engine.scores([Window("", s, audio[s : s + engine.window]) for s in some])[None]
        )
    ]
    agreed.append(overlap.flush())
    said = [
        decoder.decide(only, one.answers, final=one.final) if decoded else one.answers
        for one in agreed
    ]
    cells = np.concatenate(
        [cells[0, :, : one.final] for cells, one in zip(said, agreed, strict=True)], axis=None
    ).reshape(-1, len(engine.labels))
    middles = np.arange(frames) * step + step // 2 - engine.window % engine.hop
    return cells[np.clip(middles // engine.cell, 0, len(cells) - 1)].astype(np.float32)
