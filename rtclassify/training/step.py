"""One step of training and one pass of scoring, each a graph."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from rtclassify.corpus.decode import FULL_SCALE, Stored
from rtclassify.evaluation.trial import UNHEARD
from rtclassify.frontends import Frontend, frame_count
from rtclassify.networks import Network, column_count, each_alone
from rtclassify.stream import Samples
from rtclassify.training.average import Weights
from rtclassify.training.feed import Batch

Audio = Stored | Samples

THRESHOLD = 0.5
SCORE_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Ear:
    """How what a batch holds becomes frames.

    Args:
        shape: Of one window in a batch.
        frames: Makes frames, shape (n, frames, bands), of a batch's windows, in a graph.
    """

    shape: tuple[int, ...]
    frames: Callable[[tf.Tensor], tf.Tensor]


class Step:
    """Trains a model by one batch at a time, with Adam.

    Args:
        model: Takes frames, returns probabilities of shape (n, columns, labels).
        ear: Makes the frames.
        places: Where in the window each column listens; see `places`.
    """

    def __init__(self, model: keras.Model, ear: Ear, places: Samples) -> None:
        taught = each_alone(model)
        self._optimizer = optimizer = keras.optimizers.Adam()
        optimizer.build(model.trainable_variables)
        labels = model.output_shape[-1]
        shapes = [
            tf.TensorSpec((None, *ear.shape), tf.float32),
            tf.TensorSpec((None, None, labels), tf.float32),
        ]

        @tf.function(input_signature=shapes)
        def graph(sound: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
            frames = ear.frames(sound)
            ticks = tf.cast(tf.shape(present)[1], tf.float32)
            truth = tf.gather(present, tf.cast(places * ticks, tf.int32), axis=1)
            heard = tf.cast(truth != UNHEARD, tf.float32)
            with tf.GradientTape() as tape:
                answers = taught(frames, training=True)
                branches = tf.shape(answers)[0] // tf.shape(truth)[0]
                truth, heard = (tf.tile(part, [branches, 1, 1]) for part in (truth, heard))
                told = keras.ops.binary_crossentropy(truth * heard, answers)
                loss = tf.reduce_sum(told * heard) / tf.maximum(1.0, tf.reduce_sum(heard))
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
            return loss

        self._graph = graph

    def __call__(self, batch: Batch, learning_rate: float) -> float:
        """Learn from a batch; return the loss.

        Raises:
            FloatingPointError: If that is no number.
        """
        self._optimizer.learning_rate = learning_rate
        loss = float(self._graph(*batch))
        if not math.isfinite(loss):
            raise FloatingPointError
        return loss

    @property
    def state(self) -> Weights:
        """What the optimizer remembers."""
        return [variable.numpy() for variable in self._optimizer.variables]

    def restore(self, state: Weights) -> None:
        """Let the optimizer remember what it did."""
        for variable, value in zip(self._optimizer.variables, state, strict=True):
            variable.assign(value)


def places(frontend: Frontend, network: Network, answers: int) -> Samples:
    """Return the middle of what each answer is about, as a share of the window.

    That is the middle of each column, or of the window where there is one answer for all of it.
    """
    columns = column_count(network, frame_count(frontend, frontend.window))
    if answers != columns:
        return np.array([0.5], np.float32)
    reach = (network.reach - 1) * frontend.step + frontend.length
    middles = np.arange(columns) * network.stride * frontend.step + reach / 2
    return (middles / frontend.window).astype(np.float32)


def scorer(model: keras.Model, frontend: Frontend) -> Callable[[Audio], Samples]:
    """Make a graph that scores windows (n, window) in batches, with the weights of the moment.

    It takes 16-bit samples, which are scaled to [-1, 1], or floats, and returns probabilities,
    shape (n, columns, labels).
    """

    @tf.function(input_signature=[tf.TensorSpec((None, frontend.window), tf.float32)])
    def score(windows: tf.Tensor) -> tf.Tensor:
        return model(frontend.frames(windows), training=False)

    def scored(audio: Audio) -> Samples:
        rows = [
            score(_as_float(audio[at : at + SCORE_AT_ONCE])).numpy()
            for at in range(0, len(audio), SCORE_AT_ONCE)
        ]
        return np.concatenate(rows)

    return scored


def scores(model: keras.Model, frontend: Frontend, audio: Audio) -> Samples:
    """Score windows once; see `scorer`."""
    return scorer(model, frontend)(audio)


def at_places(present: Samples, places: Samples) -> Samples:
    """Return what is heard at places of windows, shape (n, places, labels)."""
    return present[:, (places * present.shape[1]).astype(int)]


def right(probabilities: Samples, truth: Samples) -> float:
    """Return the share of columns in which every answer is right, of those that are judged.

    Both are of shape (n, columns, labels), the truth with `UNHEARD`.
    """
    judged = np.all(truth != UNHEARD, axis=-1)
    agree = np.all((probabilities >= THRESHOLD) == (truth >= THRESHOLD), axis=-1)
    return float(np.mean(agree[judged]))


def crossentropy(probabilities: Samples, present: Samples) -> float:
    """Return the mean binary cross-entropy where something is heard; shapes are equal."""
    heard = present != UNHEARD
    p, truth = np.clip(probabilities[heard], 1e-7, 1 - 1e-7), present[heard]
    return float(-np.mean(truth * np.log(p) + (1 - truth) * np.log(1 - p)))


def _as_float(audio: Audio) -> Samples:
    if audio.dtype == np.int16:
        return audio.astype(np.float32) / np.float32(FULL_SCALE)
    return np.asarray(audio, np.float32)
