"""The product's network: a CNN whose columns each answer for a tenth of a second."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any

import keras
from keras import layers

from rtclassify.networks import assemble, column_count, side_by_side

MOMENTUM = 0.95
"""Of the running statistics: at Keras's 0.99 they lag hundreds of steps behind the weights."""


@dataclass(frozen=True)
class ColumnCnn:
    """Convolutions that see almost half a second, then a head that answers per column.

    The first two keep every frame and halve the bands; the third takes a step of a tenth of a
    second. In the head, dilated convolutions and the mean over all columns let each column hear
    the whole window, on both sides of it.

    Args:
        filters: Channels of each convolution.
        kernels: Their sizes in frames and bands.
        strides: Their strides in frames and bands.
        width: Values in a column.
        dilations: Columns between the taps of each of the head's convolutions.
        dropout: Share of column values dropped in training.
        branches: Networks side by side, each as above; how many of the views, from the first, each
            hears. Each learns to answer alone. Asked, they answer with their mean log-odds.
    """

    filters: tuple[int, ...] = (16, 32, 64, 96)
    kernels: tuple[tuple[int, int], ...] = ((3, 5), (3, 3), (5, 3), (3, 3))
    strides: tuple[tuple[int, int], ...] = ((1, 2), (1, 2), (5, 2), (1, 2))
    width: int = 128
    dilations: tuple[int, ...] = (1, 2, 4, 8)
    dropout: float = 0.1
    branches: tuple[int, ...] = (1,)

    @property
    def stride(self) -> int:
        """Frames from one column to the next."""
        return math.prod(frames for frames, _ in self.strides)

    @property
    def reach(self) -> int:
        """Frames that a column looks at."""
        reach, apart = 1, 1
        for (frames, _), (stride, _) in zip(self.kernels, self.strides, strict=True):
            reach += (frames - 1) * apart
            apart *= stride
        return reach

    def build(self, *, frames: int, bands: int, labels: int, views: int = 1) -> keras.Model:
        """Build the model; see `Network.build`."""
        trunk = self._trunk(bands, views)
        head = self._head(column_count(self, frames), labels)
        return assemble(trunk, head, frames=frames, bands=bands)

    def _trunk(self, bands: int, views: int) -> keras.Model:
        frames = keras.Input((None, bands))
        x = layers.BatchNormalization(momentum=MOMENTUM)(frames)
        x = layers.Reshape((-1, bands // views, views))(x)
        heard = [x[..., :some] if some < views else x for some in self.branches]
        return keras.Model(
            frames, side_by_side([self._columns(part) for part in heard]), name="trunk"
        )

    def _columns(self, x: keras.KerasTensor) -> keras.KerasTensor:
        for channels, kernel, stride in zip(self.filters, self.kernels, self.strides, strict=True):
            x = layers.ZeroPadding2D((0, kernel[1] // 2))(x)
            x = layers.Conv2D(channels, kernel, strides=stride, use_bias=False)(x)
            x = layers.BatchNormalization(momentum=MOMENTUM)(x)
            x = layers.Activation("relu")(x)
        x = layers.Reshape((-1, x.shape[2] * x.shape[3]))(x)
        x = layers.Dense(self.width, use_bias=False)(x)
        x = layers.BatchNormalization(momentum=MOMENTUM)(x)
        return layers.Activation("relu")(x)

    def _head(self, columns: int, labels: int) -> keras.Model:
        kept = keras.Input((columns, self.width * len(self.branches)))
        parts = keras.ops.split(kept, len(self.branches), -1) if len(self.branches) > 1 else [kept]
        x = side_by_side([self._listened(part) for part in parts])
        answers = layers.Dense(labels, activation="sigmoid", name="answers")(x)
        return keras.Model(kept, answers, name="head")

    def _listened(self, x: keras.KerasTensor) -> keras.KerasTensor:
        x = layers.Dropout(self.dropout)(x)
        for apart in self.dilations:
            y = layers.Conv1D(self.width, 3, dilation_rate=apart, padding="same", use_bias=False)(x)
            y = layers.Activation("relu")(layers.BatchNormalization(momentum=MOMENTUM)(y))
            x = layers.Add()([x, layers.Dropout(self.dropout)(y)])
        overall = layers.Dense(self.width)(layers.GlobalAveragePooling1D(keepdims=True)(x))
        return layers.Activation("relu")(layers.Add()([x, overall]))

    def config(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        lists = {name: json.loads(json.dumps(value)) for name, value in asdict(self).items()}
        return {"name": "column_cnn", **lists}


BRANCHED = ColumnCnn(filters=(8, 16, 48, 64), width=80, branches=(1, 2))
"""Two narrow networks: one hears the first view, the other two."""
