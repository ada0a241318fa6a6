"""One step of training and one pass of scoring, each a graph from audio on."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from rtclassify.frontends import Frontend, frame_count
from rtclassify.networks import Network, column_count
from rtclassify.stream import Samples
from rtclassify.training.decode import FULL_SCALE, Stored
from rtclassify.training.feed import UNHEARD, Batch

Audio = Stored | Samples

THRESHOLD = 0.5
SCORE_AT_ONCE = 64


def compiled(
    model: keras.Model,
    frontend: Frontend,
    network: Network,
    learning_rate: Callable[[], float],
) -> Callable[[Batch], float]:
    """Return what trains `model` by one batch and returns the loss.

    Args:
        model: Takes frames, returns probabilities.
        frontend: Turns audio into frames, in the same graph.
        network: Built the model.
        learning_rate: Of Adam, asked for at each step.
    """
    optimizer = keras.optimizers.Adam()
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
        optimizer.learning_rate = learning_rate()
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


def _as_float(audio: Audio) -> Samples:
    if audio.dtype == np.int16:
        return audio.astype(np.float32) / np.float32(FULL_SCALE)
    return np.asarray(audio, np.float32)
