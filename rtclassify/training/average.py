"""The running mean of the weights, which is better than the weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np
from numpy.typing import NDArray

Weights = list[NDArray[np.float32]]

EVERY = 5


class Average:
    """A running mean of the weights and statistics, which swing from step to step.

    Args:
        model: Whose weights.
        decay: What is kept of the mean each `EVERY` steps, less at first; 0 for no mean.
    """

    def __init__(self, model: keras.Model, decay: float) -> None:
        self._model = model
        self._decay = decay
        self.steps = 0
        self.mean: Weights = model.get_weights()

    def add(self) -> None:
        """Count a step, and take in its weights now and then."""
        self.steps += 1
        taken, left_out = divmod(self.steps, EVERY)
        if left_out:
            return
        kept = min(self._decay, taken / (taken + 10))
        self.mean = [
            (kept * mean + (1 - kept) * value).astype(np.float32)
            for mean, value in zip(self.mean, self._model.get_weights(), strict=True)
        ]

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the model have the mean until the ``with`` is left, if there is one."""
        last = self._model.get_weights()
        if self._decay and self.steps >= EVERY:
            self._model.set_weights(self.mean)
        yield
        self._model.set_weights(last)
