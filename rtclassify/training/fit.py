"""The training loop: batches in, best weights kept; patience, a target, time or Ctrl-C end it.

So does a loss that is no number: nothing can be learned any more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import keras
import numpy as np

from rtclassify.errors import DataError
from rtclassify.frontends import Frontend
from rtclassify.networks import Network
from rtclassify.stream import Samples
from rtclassify.training.average import Average
from rtclassify.training.feed import Batch
from rtclassify.training.recipe import Pace, Recipe
from rtclassify.training.step import (
    Audio,
    Ear,
    Step,
    at_places,
    crossentropy,
    places,
    right,
    scorer,
)
from rtclassify.training.unfinished import Epoch, History, Progress, Unfinished

INTERRUPTED = "Ctrl-C"
DIVERGED = "a loss that is no number"


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
    unfinished: Unfinished,
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
        unfinished: Where training goes on from if it holds anything, and what every epoch is
            written to.
        on_step: Told the loss of each step.
        on_epoch: Told the number of the epoch, from 1, and how it ended.

    Raises:
        KeyboardInterrupt: If it comes before an epoch has ended; later it ends training.
        DataError: If the loss is no number before an epoch has ended; later that ends training.
    """
    middles = places(frontend, network, model.output_shape[1])
    step, average = Step(model, ear, middles), Average(model, recipe.averaging)
    score = scorer(model, frontend)
    progress = unfinished.read() or Progress()
    history = progress.history
    history.earlier_s = progress.spent_s
    if history.epochs:
        model.set_weights(progress.weights)
        step.restore(progress.optimizer)
        average.mean, average.steps = progress.mean, progress.steps
    pace = Pace(
        recipe, steps=steps, limit_s=limit_s, epochs=len(history.epochs), spent_s=progress.spent_s
    )
    try:
        for number in range(len(history.epochs) + 1, recipe.epochs + 1):
            started = time.monotonic()
            loss = _learn(epoch_batches(), step, average, pace, on_step)
            with average.in_place():
                judged = _validate(score, middles, held)
                epoch = Epoch(loss, *judged, seconds=time.monotonic() - started)
                history.epochs.append(epoch)
                best = min(range(number), key=lambda at: history.epochs[at].val_loss)
                if not recipe.keep_best or best == number - 1:
                    history.best, progress.best = number - 1, model.get_weights()
            progress.weights, progress.optimizer = model.get_weights(), step.state
            progress.mean, progress.steps = average.mean, average.steps
            progress.spent_s = pace.spent_s
            unfinished.write(progress)
            on_epoch(number, epoch)
            if reason := _enough(recipe, history, best, late=pace.late):
                history.stopped = reason
                break
    except KeyboardInterrupt:
        if not history.epochs:
            raise
        history.stopped = INTERRUPTED
    except FloatingPointError:
        if not history.epochs:
            raise DataError(
                "The loss is no number before the first epoch has ended, so nothing was learned; "
                "try another --seed, and look at what `rtclassify inspect` shows of the recordings."
            ) from None
        history.stopped = DIVERGED
    model.set_weights(progress.best)
    return history


def _learn(
    batches: Iterable[Batch],
    step: Step,
    average: Average,
    pace: Pace,
    on_step: Callable[[float], None],
) -> float:
    """Take an epoch's steps, or as many as there is time for; return their mean loss."""
    losses = []
    for batch in batches:
        losses.append(step(batch, pace.learning_rate()))
        average.add()
        on_step(losses[-1])
        if pace.late:
            break
    return float(np.mean(losses))


def _validate(
    score: Callable[[Audio], Samples], middles: Samples, held: Held
) -> tuple[float, float]:
    answers, truth = score(held.audio), at_places(held.present, middles)
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
