"""The probe: a fixed signal, and the scores that a model had for it when it was saved.

A model that no longer says what it said is refused, whatever computes it.
"""

from __future__ import annotations

import numpy as np

from rtclassify.description import Description
from rtclassify.errors import BundleError
from rtclassify.stream import Classifier, Samples, Window

TOLERANCE = 1e-3
"""Scores may differ by this much between machines; a retrained model differs more."""
ROUGH = 0.05
"""And those of a network in 8 bits by this much from those of the one that it was made of."""


def probe(rate: int, window: int) -> Samples:
    """Make the probe: four windows that any machine computes alike, shape (4, window).

    A harmonic sweep, syllable-like bursts of it, noise from a linear congruence, and zeros.
    """
    time = np.arange(window) / rate
    phase = 2 * np.pi * (110.0 * time + 30.0 * time**2)
    tones = sum(np.sin(n * phase) / n for n in range(1, 9)) / 4
    bursts = tones * (np.sin(2 * np.pi * 4.0 * time) > 0)
    noise = (np.arange(window, dtype=np.uint64) * 2_654_435_761 % 65_536) / 32_768 - 1.0
    return np.stack([tones, bursts, 0.1 * noise, np.zeros(window)]).astype(np.float32)


def readable(scores: Samples) -> tuple[tuple[float, ...], ...]:
    """Turn scores of the probe, shape (4, cells, labels), into what a bundle writes down."""
    return tuple(tuple(round(float(p), 6) for p in row) for row in scores.mean(axis=1))


def check(description: Description, scores: Samples, tolerance: float = TOLERANCE) -> None:
    """Compare scores of the probe with those that were written down.

    Raises:
        BundleError: If they differ.
    """
    said, says = np.array(description.probe), np.array(readable(scores))
    if said.shape != says.shape or not np.allclose(said, says, atol=tolerance):
        raise BundleError(
            f"{description.path} no longer scores its probe as it did when it was saved; "
            "take a whole copy, or train it again with this version."
        )


def prove(classifier: Classifier, description: Description, tolerance: float = TOLERANCE) -> None:
    """Let what serves the bundle score the probe; it has forgotten it afterwards.

    Raises:
        BundleError: If its scores differ from those that were written down.
    """
    audio = probe(description.rate, description.window)
    windows = [Window(f"probe-{n}", 0, window) for n, window in enumerate(audio)]
    scores = classifier.scores(windows)
    classifier.reset()
    check(description, scores, tolerance)
