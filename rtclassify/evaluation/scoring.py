"""What a model says of a trial, frame by frame."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from rtclassify.errors import BundleError
from rtclassify.evaluation.trial import LABELS, Scored, Trial, frame_samples, frames_in, scored
from rtclassify.stream import Classifier, Samples, Window
from rtclassify.training.decode import FULL_SCALE

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


def frame_scores(engine: Classifier, audio: Samples) -> Samples:
    """Score every frame: the mean of the scores of the windows that its middle lies in.

    Windows are those of the engine's hop and one that ends with the audio. Audio shorter than a
    window is repeated until it fills one.

    Args:
        engine: Forgets what it heard before.
        audio: Mono at the engine's rate, shape (n,), n > 0.

    Returns:
        Probabilities, shape (frames, the engine's labels).
    """
    frames, step = frames_in(len(audio), engine.rate), frame_samples(engine.rate)
    audio = np.resize(audio, max(len(audio), engine.window))
    last = len(audio) - engine.window
    starts = np.array(sorted({*range(0, last + 1, engine.hop), last}))
    engine.reset()
    scores = np.concatenate(
        [
            engine.scores([Window("", s, audio[s : s + engine.window]) for s in some])
            for some in np.split(starts, range(AT_ONCE, len(starts), AT_ONCE))
        ]
    )
    # Running totals over windows: those that hold a middle are neighbours.
    totals = np.concatenate([np.zeros((1, scores.shape[1])), np.cumsum(scores, 0, np.float64)])
    middles = np.minimum(np.arange(frames) * step + step // 2, len(audio) - 1)
    upto = np.searchsorted(starts, middles, side="right")
    since = np.searchsorted(starts, middles - engine.window, side="right")
    means = (totals[upto] - totals[since]) / (upto - since)[:, np.newaxis]
    return np.asarray(means, np.float32)
