"""The product's network: small, causal in nothing, cheap to stream."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import keras
from keras import layers

from rtclassify.networks import assemble, column_count

MOMENTUM = 0.95
"""Of the running statistics: at Keras's 0.99 they lag hundreds of steps behind the weights."""


@dataclass(frozen=True)
class ColumnCnn:
    """Four convolutions, of which one is strided in time, then a head that answers per column.

    Dilated convolutions and the mean over all columns let each column hear the whole window, on
    both sides of it.

    Args:
        filters: Channels of the four convolutions.
        kernels: Their lengths in frames.
        strides: Their strides in frames.
        width: Values in a column.
        dilations: Columns between the taps of each of the head's convolutions.
        dropout: Share of column values dropped in training.
    """

    filters: tuple[int, ...] = (32, 48, 64, 96)
    kernels: tuple[int, ...] = (7, 3, 3, 3)
    strides: tuple[int, ...] = (5, 1, 1, 1)
    width: int = 128
    dilations: tuple[int, ...] = (1, 2, 4, 8)
    dropout: float = 0.1

    @property
    def stride(self) -> int:
        """Frames from one column to the next."""
        product = 1
        for stride in self.strides:
            product *= stride
        return product

    @property
    def reach(self) -> int:
        """Frames that a column looks at."""
        reach, apart = 1, 1
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            reach += (kernel - 1) * apart
            apart *= stride
        return reach

    def build(self, *, frames: int, bands: int, labels: int) -> keras.Model:
        """Build the model; see `Network.build`."""
        columns = column_count(self, frames)
        return assemble(self._trunk(bands), self._head(columns, labels), frames=frames, bands=bands)

    def _trunk(self, bands: int) -> keras.Model:
        frames = keras.Input((None, bands))
        x = layers.BatchNormalization(momentum=MOMENTUM)(frames)
        x = layers.Reshape((-1, bands, 1))(x)
        for channels, kernel, stride in zip(self.filters, self.kernels, self.strides, strict=True):
            x = layers.ZeroPadding2D(((0, 0), (1, 1)))(x)
            x = layers.Conv2D(channels, (kernel, 3), strides=(stride, 2), use_bias=False)(x)
            x = layers.BatchNormalization(momentum=MOMENTUM)(x)
            x = layers.Activation("relu")(x)
        x = layers.Reshape((-1, x.shape[2] * x.shape[3]))(x)
        x = layers.Dense(self.width, use_bias=False)(x)
        x = layers.BatchNormalization(momentum=MOMENTUM)(x)
        return keras.Model(frames, layers.Activation("relu")(x), name="trunk")

    def _head(self, columns: int, labels: int) -> keras.Model:
        kept = keras.Input((columns, self.width))
        x = layers.Dropout(self.dropout)(kept)
        for apart in self.dilations:
            y = layers.Conv1D(self.width, 3, dilation_rate=apart, padding="same", use_bias=False)(x)
            y = layers.Activation("relu")(layers.BatchNormalization(momentum=MOMENTUM)(y))
            x = layers.Add()([x, layers.Dropout(self.dropout)(y)])
        overall = layers.Dense(self.width)(layers.GlobalAveragePooling1D(keepdims=True)(x))
        x = layers.Activation("relu")(layers.Add()([x, overall]))
        return keras.Model(kept, layers.Dense(labels, activation="sigmoid")(x), name="head")

    def config(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        return {"name": "column_cnn", **asdict(self)}
