"""The training loop: batches in, best weights kept; patience, a target, time or Ctrl-C end it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from rtclassify.frontends import Frontend
from rtclassify.networks import Network
from rtclassify.stream import Samples
from rtclassify.training.feed import Batch
from rtclassify.training.step import (
    Audio,
    Ear,
    at_places,
    compiled,
    crossentropy,
    places,
    right,
    scores,
)

AVERAGE_EVERY = 5
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
        calibrated: Whether the answers get a temperature each when all is done.
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
    epochs=60,
    patience=10,
    target=None,
    log_every=1,
    keep_best=True,
    averaging=0.98,
    calibrated=True,
)


@dataclass(frozen=True, slots=True)
class Epoch:
    """How an epoch ended: mean losses, the share of validation that is right, and its seconds."""

    loss: float
    val_loss: float
    val_right: float
    seconds: float


@dataclass(slots=True)
class History:
    """What happened; `best` is the index of the epoch whose weights the model has."""

    epochs: list[Epoch] = field(default_factory=list)
    best: int = 0
    stopped: str = "all epochs done"


@dataclass(frozen=True, slots=True)
class Held:
    """Windows held out: audio (n, window), 16-bit or float, and truth (n, ticks, labels)."""

    audio: Audio
    present: Samples


def fit(
    model: keras.Model,
    frontend: Frontend,
    network: Network,
    recipe: Recipe,
    *,
    ear: Ear,
    epoch_batches: Callable[[], Iterable[Batch]],
    steps: int,
    held: Held,
    limit_s: float,
    on_step: Callable[[float], None],
    on_epoch: Callable[[int, Epoch], None],
) -> History:
    """Train `model` in place.

    Args:
        model: Takes frames, returns probabilities.
        frontend: Turns the audio that is held out into frames.
        network: Built the model.
        recipe: How.
        ear: Turns what batches hold into frames.
        epoch_batches: Starts an epoch; yields `steps` batches.
        steps: Batches in an epoch.
        held: What is validated after each epoch.
        limit_s: Stop after so many seconds.
        on_step: Told the loss of each step.
        on_epoch: Told the number of the epoch, from 1, and how it ended.

    Raises:
        KeyboardInterrupt: If it comes before an epoch has ended; later it ends training.
    """
    pace = _Pace(recipe, steps, limit_s)
    middles = places(frontend, network, model.output_shape[1])
    step = compiled(model, ear, middles, pace.learning_rate)
    history = History()
    average = _Average(model, recipe.averaging)
    weights: list[Any] = []
    try:
        for number in range(1, recipe.epochs + 1):
            started, losses = time.monotonic(), []
            for batch in epoch_batches():
                losses.append(step(batch))
                average.add()
                on_step(losses[-1])
                if pace.late:
                    break
            with average.in_place():
                epoch = Epoch(
                    float(np.mean(losses)),
                    *_validate(model, frontend, middles, held),
                    seconds=time.monotonic() - started,
                )
                history.epochs.append(epoch)
                best = min(range(number), key=lambda at: history.epochs[at].val_loss)
                if not recipe.keep_best or best == number - 1:
                    history.best, weights = number - 1, model.get_weights()
            on_epoch(number, epoch)
            if reason := _enough(recipe, history, best, late=pace.late):
                history.stopped = reason
                break
    except KeyboardInterrupt:
        if not weights:
            raise
        history.stopped = "Ctrl-C"
    model.set_weights(weights)
    return history


class _Average:
    """A running mean of the weights and statistics, which swing from step to step.

    Args:
        model: Whose weights.
        decay: What is kept of the mean each `AVERAGE_EVERY` steps, less at first; 0 for no mean.
    """

    def __init__(self, model: keras.Model, decay: float) -> None:
        self._model = model
        self._decay = decay
        self._steps = 0
        self._mean = model.get_weights()

    def add(self) -> None:
        """Count a step, and take in its weights now and then."""
        self._steps += 1
        taken, left_out = divmod(self._steps, AVERAGE_EVERY)
        if left_out:
            return
        kept = min(self._decay, taken / (taken + 10))
        self._mean = [
            kept * mean + (1 - kept) * value
            for mean, value in zip(self._mean, self._model.get_weights(), strict=True)
        ]

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the model have the mean until the ``with`` is left, if there is one."""
        last = self._model.get_weights()
        if self._decay and self._steps >= AVERAGE_EVERY:
            self._model.set_weights(self._mean)
        yield
        self._model.set_weights(last)


class _Pace:
    """How far training has come, in steps or in time, whichever is further."""

    def __init__(self, recipe: Recipe, steps: int, limit_s: float) -> None:
        self._recipe = recipe
        self._steps = steps * recipe.epochs
        self._limit_s = limit_s
        self._begun = time.monotonic()
        self._done = 0

    def learning_rate(self) -> float:
        """Count a step and return its learning rate."""
        by_time = (time.monotonic() - self._begun) / max(self._limit_s, 1e-9)
        by_steps = self._done / self._steps
        self._done += 1
        if not self._recipe.cosine:
            return self._recipe.learning_rate
        falling = (1 + math.cos(math.pi * min(1.0, max(by_steps, by_time)))) / 2
        return self._recipe.learning_rate * (LAST_RATE + (1 - LAST_RATE) * falling)

    @property
    def late(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() - self._begun >= self._limit_s


def _validate(
    model: keras.Model, frontend: Frontend, middles: Samples, held: Held
) -> tuple[float, float]:
    answers, truth = scores(model, frontend, held.audio), at_places(held.present, middles)
    return crossentropy(answers, truth), right(answers, truth)


def _enough(recipe: Recipe, history: History, best: int, *, late: bool) -> str:
    """Say why training should stop, or nothing."""
    if late:
        return "time limit"
    if recipe.target is not None and history.epochs[-1].val_right >= recipe.target:
        return f"{recipe.target:.0%} of validation right"
    if recipe.patience is not None and len(history.epochs) - 1 - best >= recipe.patience:
        return f"no better validation loss for {recipe.patience} epochs"
    return ""
