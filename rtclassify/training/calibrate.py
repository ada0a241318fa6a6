"""Probabilities that mean what they say: one temperature for each answer.

A network that learned for long is surer than it is right. The temperature divides the logits of an
answer so that held-out truth is as likely as it can be (Guo, Pleiss, Sun and Weinberger, "On
calibration of modern neural networks", ICML 2017); which side of one half an answer lies on, it
never changes. It becomes part of the last layer's weights, so that nothing else has to know it.
"""

from __future__ import annotations

import keras
import numpy as np

from rtclassify.evaluation.trial import UNHEARD
from rtclassify.stream import Samples

TRIED = np.geomspace(0.25, 4.0, 129)
SURE = 1e-6


def temperatures(probabilities: Samples, truth: Samples) -> list[float]:
    """Return the best temperature of each answer; above 1 where the network was too sure.

    Args:
        probabilities: Shape (n, columns, labels).
        truth: Of the same shape, with `UNHEARD`.
    """
    found = []
    for label in range(truth.shape[-1]):
        judged = truth[..., label] != UNHEARD
        present = truth[..., label][judged].astype(np.float64)
        p = np.clip(probabilities[..., label][judged].astype(np.float64), SURE, 1 - SURE)
        logits = np.log(p / (1 - p))
        losses = [_crossentropy(logits / temperature, present) for temperature in TRIED]
        found.append(round(float(TRIED[int(np.argmin(losses))]), 4))
    return found


def _crossentropy(logits: Samples, present: Samples) -> float:
    return float(np.mean(np.logaddexp(0.0, logits) - present * logits))


def apply(model: keras.Model, found: list[float]) -> None:
    """Divide the logits of the model's answers, one temperature for each, in place."""
    answers = model.get_layer("head").get_layer("answers")
    answers.set_weights(
        [weights / np.array(found, np.float32) for weights in answers.get_weights()]
    )
