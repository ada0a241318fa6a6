"""Probabilities that mean what they say: one temperature for each answer.

A network that learned for long is surer than it is right. The temperature divides the logits of an
answer so that held-out truth is as likely as it can be (Guo, Pleiss, Sun and Weinberger, "On
calibration of modern neural networks", ICML 2017); which side of one half an answer lies on, it
never changes. It becomes part of the last layer's weights, so that nothing else has to know it.

What ends is heard a little longer: it fades, it rings, and a column hears more than it is about.
How long that is for each answer is measured too, and taken off when later audio is known.
"""

from __future__ import annotations

import keras
import numpy as np

from rtclassify.decoding import without_tails
from rtclassify.evaluation.trial import UNHEARD
from rtclassify.evaluation.truth import Counts, Mask, continued
from rtclassify.overlap import Answers
from rtclassify.stream import Samples
from rtclassify.training.step import THRESHOLD

TRIED = np.geomspace(0.25, 4.0, 129)
SURE = 1e-6
NEAR, LONGEST_TAIL = 20, 8
"""In columns: how far from a beginning or an end it is looked, and what is tried."""


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


def tails(probabilities: Samples, truth: Samples) -> list[int]:
    """Return for how many columns each answer outlasts what it is of, in the mean.

    That is what has to be taken off for the fewest errors around beginnings and ends, missed and
    false alike.

    Args:
        probabilities: Of a programme, shape (columns, labels).
        truth: Of the same shape, with `UNHEARD`.
    """
    found = []
    for label, held in enumerate((continued(truth) == 1).T):
        near = _near(np.flatnonzero(np.diff(held)), len(held))
        present, answers = truth[:, label], probabilities[:, [label]].astype(np.float64)
        errors = [
            _balanced_error(without_tails(answers, [tail])[near, 0], present[near])
            for tail in range(LONGEST_TAIL + 1)
        ]
        found.append(int(np.argmin(errors)))
    return found


def _near(changes: Counts, columns: int) -> Mask:
    """Say of each column whether one of the changes is near."""
    near = np.zeros(columns, bool)
    for change in changes.tolist():
        near[max(0, change - NEAR) : change + NEAR] = True
    return near


def _balanced_error(answers: Answers, present: Samples) -> float:
    """Return the mean of the shares that are missed and that are false; 0 if there is no such."""
    yes = answers >= THRESHOLD
    shares = [np.mean(yes[present == said] != said) for said in (0, 1) if np.any(present == said)]
    return float(np.mean(shares)) if shares else 0.0


def _crossentropy(logits: Samples, present: Samples) -> float:
    return float(np.mean(np.logaddexp(0.0, logits) - present * logits))


def apply(model: keras.Model, found: list[float]) -> None:
    """Divide the logits of the model's answers, one temperature for each, in place."""
    answers = model.get_layer("head").get_layer("answers")
    answers.set_weights(
        [weights / np.array(found, np.float32) for weights in answers.get_weights()]
    )
