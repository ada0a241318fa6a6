"""Dilated convolutions as one operation each, for models that are only asked."""

from __future__ import annotations

import keras
import tensorflow as tf
from keras import layers


class Dilated(layers.Conv1D):
    """A `Conv1D` without a bias, computed as `tf.nn.conv2d` with the dilation as its own.

    Keras deals columns out to as many batches as it skips, and back. Training needs that: this one
    has no gradient on a CPU.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Convolve."""
        rows, kernel = tf.expand_dims(inputs, 1), tf.expand_dims(self.kernel, 0)
        apart = (1, *self.dilation_rate)
        rows = tf.nn.conv2d(rows, kernel, 1, self.padding.upper(), dilations=apart)
        return self.activation(tf.squeeze(rows, [1]))


def at_once(model: keras.Model) -> keras.Model:
    """Return a copy of a model in which dilated convolutions are one operation each."""

    def copied(layer: keras.Layer) -> keras.Layer:
        kind = Dilated if _can_be(layer) else type(layer)
        return kind.from_config(layer.get_config())

    copy = keras.models.clone_model(model, clone_function=copied)
    copy.set_weights(model.get_weights())
    return copy


def _can_be(layer: keras.Layer) -> bool:
    return (
        isinstance(layer, layers.Conv1D)
        and layer.dilation_rate != (1,)
        and layer.padding in ("same", "valid")
        and layer.data_format == "channels_last"
        and layer.groups == 1
        and not layer.use_bias
    )
