"""The training loop: batches in, best weights kept; patience, a target, time or Ctrl-C end it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import Full, Queue
from threading import Event, Thread
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from rtclassify.frontends import Frontend, frame_count
from rtclassify.networks import Network, column_count
from rtclassify.stream import Samples
from rtclassify.training.decode import FULL_SCALE

Audio = NDArray[np.int16] | Samples

THRESHOLD = 0.5
UNHEARD = -1.0
QUEUED = 8
PATIENCE_S = 0.2
SCORE_AT_ONCE = 64
LAST_RATE = 0.01
"""With cosine decay, the share of the learning rate that is left at the end."""


class Batch(NamedTuple):
    """Windows and what they should score.

    Args:
        audio: Shape (n, window).
        targets: Shape (n, labels).
        ticks: What is present when, for networks whose columns have opinions of their own: shape
            (n, ticks, labels), 1, 0 or `UNHEARD`. The ticks divide the window evenly; there are
            none where that is not known.
    """

    audio: Samples
    targets: Samples
    ticks: Samples


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained.

    Args:
        learning_rate: Of Adam, at the start.
        cosine: Whether it falls along a cosine until the end, or stays.
        batch: Windows in a step.
        epochs: At most this many.
        patience: Stop after this many epochs without a better validation loss; None never.
        target: Stop when this share of validation windows is right; None never.
        log_every: Epochs from one log line to the next.
        keep_best: Whether the best epoch's weights are kept rather than the last one's.
    """

    learning_rate: float
    cosine: bool
    batch: int
    epochs: int
    patience: int | None
    target: float | None
    log_every: int
    keep_best: bool


PRODUCT = Recipe(
    learning_rate=2e-3,
    cosine=True,
    batch=32,
    epochs=40,
    patience=10,
    target=None,
    log_every=1,
    keep_best=True,
)


@dataclass(frozen=True, slots=True)
class Epoch:
    """How an epoch ended: mean losses, the share of validation windows right, and its seconds."""

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
    """Windows held out: audio (n, window), 16-bit or float, and targets (n, labels)."""

    audio: Audio
    targets: Samples


def fit(
    model: keras.Model,
    frontend: Frontend,
    network: Network,
    recipe: Recipe,
    *,
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
        frontend: Turns audio into frames, in the same graph.
        network: Built the model.
        recipe: How.
        epoch_batches: Starts an epoch; yields `steps` batches.
        steps: Batches in an epoch.
        held: What is validated after each epoch.
        limit_s: Stop after so many seconds.
        on_step: Told the loss of each step.
        on_epoch: Told the number of the epoch, from 1, and how it ended.

    Raises:
        KeyboardInterrupt: If it comes before an epoch has ended; later it ends training.
    """
    pace = _Pace(steps * recipe.epochs, limit_s)
    step = _compiled_step(model, frontend, network, recipe, pace)
    history = History()
    weights: list[Any] = []
    try:
        for number in range(1, recipe.epochs + 1):
            started, losses = time.monotonic(), []
            for batch in epoch_batches():
                losses.append(step(batch))
                on_step(losses[-1])
                if pace.late:
                    break
            val_loss, val_right = _validate(model, frontend, held)
            seconds = time.monotonic() - started
            epoch = Epoch(float(np.mean(losses)), val_loss, val_right, seconds)
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


class _Pace:
    """How far training has come, in steps or in time, whichever is further."""

    def __init__(self, steps: int, limit_s: float) -> None:
        self._steps = steps
        self._limit_s = limit_s
        self._begun = time.monotonic()
        self._done = 0

    def step(self) -> float:
        """Count a step; return the share of training that lay behind it."""
        by_time = (time.monotonic() - self._begun) / max(self._limit_s, 1e-9)
        by_steps = self._done / self._steps
        self._done += 1
        return min(1.0, max(by_steps, by_time))

    @property
    def late(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() - self._begun >= self._limit_s


def scores(model: keras.Model, frontend: Frontend, audio: Audio) -> Samples:
    """Score windows (n, window) in batches; 16-bit samples are scaled to [-1, 1]."""

    @tf.function(input_signature=[tf.TensorSpec((None, frontend.window), tf.float32)])
    def score(windows: tf.Tensor) -> tf.Tensor:
        return model(frontend.frames(windows), training=False)

    rows = [
        score(_as_float(audio[at : at + SCORE_AT_ONCE])).numpy()
        for at in range(0, len(audio), SCORE_AT_ONCE)
    ]
    return np.concatenate(rows)


def right(probabilities: Samples, targets: Samples) -> NDArray[np.bool_]:
    """Say of each window whether every answer is right at the threshold of one half."""
    return np.all((probabilities >= THRESHOLD) == (targets >= THRESHOLD), axis=1)


def crossentropy(probabilities: Samples, targets: Samples) -> float:
    """Return the mean binary cross-entropy."""
    p = np.clip(probabilities, 1e-7, 1 - 1e-7)
    return float(-np.mean(targets * np.log(p) + (1 - targets) * np.log(1 - p)))


@contextmanager
def ahead(batches: Iterator[Batch]) -> Iterator[Iterator[Batch]]:
    """Make batches in a thread of their own, a few ahead, until the ``with`` is left.

    An exception in that thread comes out where the batch would have.
    """
    queue: Queue[Batch | BaseException] = Queue(QUEUED)
    left = Event()

    def put(item: Batch | BaseException) -> None:
        while not left.is_set():
            with suppress(Full):
                queue.put(item, timeout=PATIENCE_S)
                return

    def work() -> None:
        try:
            while not left.is_set():
                put(next(batches))
        except BaseException as error:  # noqa: BLE001 - it is raised again by whoever takes
            put(error)

    def taken() -> Iterator[Batch]:
        while True:
            item = queue.get()
            if isinstance(item, BaseException):
                raise item
            yield item

    thread = Thread(target=work, name="windows", daemon=True)
    thread.start()
    try:
        yield taken()
    finally:
        left.set()
        thread.join()


def _compiled_step(
    model: keras.Model, frontend: Frontend, network: Network, recipe: Recipe, pace: _Pace
) -> Callable[[Batch], float]:
    optimizer = keras.optimizers.Adam(recipe.learning_rate)
    optimizer.build(model.trainable_variables)
    labels = model.output_shape[1]
    loss_of = _window_and_columns(model, frontend, network)
    shapes = [
        tf.TensorSpec((None, frontend.window), tf.float32),
        tf.TensorSpec((None, labels), tf.float32),
        tf.TensorSpec((None, None, labels), tf.float32),
    ]

    @tf.function(input_signature=shapes)
    def graph(audio: tf.Tensor, targets: tf.Tensor, ticks: tf.Tensor) -> tf.Tensor:
        frames = frontend.frames(audio)
        with tf.GradientTape() as tape:
            loss = loss_of(frames, targets, ticks)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    def step(batch: Batch) -> float:
        behind = pace.step()
        if recipe.cosine:
            optimizer.learning_rate = recipe.learning_rate * _cosine(behind)
        return float(graph(*batch))

    return step


def _window_and_columns(
    model: keras.Model, frontend: Frontend, network: Network
) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]:
    """Return the loss: of the window's answers, and of each column's where the head has them.

    A head with a layer ``opinions``, shape (n, columns, labels), is also told what is present at
    the middle of each column, which teaches it many times as much as the window's share does.
    """
    trunk, head = model.get_layer("trunk"), model.get_layer("head")
    if all(layer.name != "opinions" for layer in head.layers):
        return lambda frames, targets, _: _mean_crossentropy(targets, model(frames, training=True))
    both = keras.Model(head.input, [head.output, head.get_layer("opinions").output])
    columns = np.arange(column_count(network, frame_count(frontend, frontend.window)))
    reach = (network.reach - 1) * frontend.step + frontend.length
    middles = (columns * network.stride * frontend.step + reach / 2) / frontend.window

    def loss_of(frames: tf.Tensor, targets: tf.Tensor, ticks: tf.Tensor) -> tf.Tensor:
        answers, opinions = both(trunk(frames, training=True), training=True)
        places = tf.cast(middles * tf.cast(tf.shape(ticks)[1], tf.float64), tf.int32)
        present = tf.gather(ticks, places, axis=1)
        heard = tf.cast(present != UNHEARD, tf.float32)
        told = keras.ops.binary_crossentropy(present * heard, opinions) * heard
        told_mean = tf.reduce_sum(told) / tf.maximum(1.0, tf.reduce_sum(heard))
        return _mean_crossentropy(targets, answers) + told_mean

    return loss_of


def _mean_crossentropy(targets: tf.Tensor, answers: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(keras.ops.binary_crossentropy(targets, answers))


def _validate(model: keras.Model, frontend: Frontend, held: Held) -> tuple[float, float]:
    answers = scores(model, frontend, held.audio)
    return crossentropy(answers, held.targets), float(np.mean(right(answers, held.targets)))


def _enough(recipe: Recipe, history: History, best: int, *, late: bool) -> str:
    """Say why training should stop, or nothing."""
    if late:
        return "time limit"
    if recipe.target is not None and history.epochs[-1].val_right >= recipe.target:
        return f"{recipe.target:.0%} of validation windows right"
    if recipe.patience is not None and len(history.epochs) - 1 - best >= recipe.patience:
        return f"no better validation loss for {recipe.patience} epochs"
    return ""


def _cosine(progress: float) -> float:
    return LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * progress)) / 2


def _as_float(audio: Audio) -> Samples:
    if audio.dtype == np.int16:
        return audio.astype(np.float32) / np.float32(FULL_SCALE)
    return np.asarray(audio, np.float32)
