"""The product's network: a strided CNN makes columns, a pooled head answers for the window."""

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
    """Four 3 x 3 convolutions, three of them strided in time, then attention over the columns.

    In the head, dilated convolutions let each column hear the whole window. Then it says how
    likely each answer is and how much its opinion weighs; the window's probability is the
    weighted mean. A window that is half speech therefore scores one half, and a pause, which
    weighs little, does not count against the speech around it.

    Args:
        filters: Channels of the four convolutions.
        width: Values in a column.
        dilations: Columns between the taps of each of the head's convolutions.
        dropout: Share of column values dropped in training.
    """

    filters: tuple[int, int, int, int] = (16, 32, 48, 64)
    width: int = 96
    dilations: tuple[int, ...] = (1, 2, 4, 8)
    dropout: float = 0.1

    stride = 8
    reach = 31

    def build(self, *, frames: int, bands: int, labels: int) -> keras.Model:
        """Build the model; see `Network.build`."""
        columns = column_count(self, frames)
        return assemble(self._trunk(bands), self._head(columns, labels), frames=frames, bands=bands)

    def _trunk(self, bands: int) -> keras.Model:
        frames = keras.Input((None, bands))
        x = layers.BatchNormalization(momentum=MOMENTUM)(frames)
        x = layers.Reshape((-1, bands, 1))(x)
        for channels, time_stride in zip(self.filters, (2, 2, 2, 1), strict=True):
            x = layers.ZeroPadding2D(((0, 0), (1, 1)))(x)
            x = layers.Conv2D(channels, 3, strides=(time_stride, 2), use_bias=False)(x)
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
        opinions = layers.Dense(labels, activation="sigmoid", name="opinions")(x)
        weights = layers.Softmax(axis=1)(layers.Dense(labels, name="weights")(x))
        weighted = layers.Multiply()([opinions, weights])
        return keras.Model(kept, keras.ops.sum(weighted, axis=1), name="head")

    def config(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        return {
            "name": "column_cnn",
            **asdict(self),
            "filters": list(self.filters),
            "dilations": list(self.dilations),
        }
