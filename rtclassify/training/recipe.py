"""How a network is trained: the numbers, and the learning rate that follows from them."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

LAST_RATE = 0.01
"""With cosine decay, the share of the learning rate that is left at the end."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained.

    Args:
        learning_rate: Of Adam, at the start.
        cosine: Whether it falls along a cosine until the end, or stays.
        batch: Windows in a step.
        epochs: At most this many.
        patience: Stop after this many epochs without a better validation loss; None never.
        target: Stop when this share of validation is right; None never.
        log_every: Epochs from one log line to the next.
        keep_best: Whether the best epoch's weights are kept rather than the last one's.
        averaging: How slowly the mean of the weights, which is what is kept, follows them; 0 keeps
            the weights themselves.
        calibrated: Whether the answers get a temperature and a tail each when all is done.
    """

    learning_rate: float
    cosine: bool
    batch: int
    epochs: int
    patience: int | None
    target: float | None
    log_every: int
    keep_best: bool
    averaging: float
    calibrated: bool


PRODUCT = Recipe(
    learning_rate=1.5e-3,
    cosine=True,
    batch=64,
    epochs=150,
    patience=20,
    target=None,
    log_every=1,
    keep_best=True,
    averaging=0.98,
    calibrated=True,
)


class Pace:
    """How far training has come, in steps or in time, whichever is further.

    Args:
        recipe: Says how the learning rate falls.
        steps: In an epoch.
        limit_s: Seconds that training may take.
        epochs: That were done before an interruption.
        spent_s: Seconds that they took.
    """

    def __init__(
        self, recipe: Recipe, *, steps: int, limit_s: float, epochs: int, spent_s: float
    ) -> None:
        self._recipe = recipe
        self._steps = steps * recipe.epochs
        self._limit_s = limit_s
        self._begun = time.monotonic() - spent_s
        self._done = steps * epochs

    @property
    def spent_s(self) -> float:
        """Seconds since the beginning, without interruptions."""
        return time.monotonic() - self._begun

    def learning_rate(self) -> float:
        """Count a step and return its learning rate."""
        by_time = self.spent_s / max(self._limit_s, 1e-9)
        by_steps = self._done / self._steps
        self._done += 1
        if not self._recipe.cosine:
            return self._recipe.learning_rate
        falling = (1 + math.cos(math.pi * min(1.0, max(by_steps, by_time)))) / 2
        return self._recipe.learning_rate * (LAST_RATE + (1 - LAST_RATE) * falling)

    @property
    def late(self) -> bool:
        """Whether the time is up."""
        return self.spent_s >= self._limit_s
