"""The article's network, kept as a reference."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import keras
from keras import layers

from rtclassify.errors import BundleError
from rtclassify.networks import assemble, column_count


@dataclass(frozen=True)
class ArticleNetwork:
    """Four blocks of convolution, normalisation, tanh and pooling, and two dense layers.

    One sigmoid says speech (1) or music (0) of a whole window. It is served as two probabilities
    that add up to 1, in the order of the labels: speech, music. The blocks pad nothing, so they
    are the trunk.

    Args:
        filters: Channels of the first block; each further block has twice as many.
        dropout: Share of values dropped before each dense layer in training.
    """

    filters: int = 32
    dropout: float = 0.4

    blocks = 4
    stride = 16
    reach = 46

    def build(
        self,
        *,
        frames: int,
        bands: int,
        labels: int,
        views: int = 1,  # noqa: ARG002 - all one
    ) -> keras.Model:
        """Build the model; see `Network.build`.

        Raises:
            BundleError: If `labels` is not 2.
        """
        if labels != 2:  # noqa: PLR2004 - speech and music
            raise BundleError(f"The article's network answers 2 labels, not {labels}; train both.")
        trunk = self._trunk(bands)
        head = self._head(column_count(self, frames), *trunk.output_shape[2:])
        return assemble(trunk, head, frames=frames, bands=bands)

    def _trunk(self, bands: int) -> keras.Model:
        frames = keras.Input((None, bands))
        x = layers.Reshape((-1, bands, 1))(frames)
        x = layers.Permute((2, 1, 3), name="band_first")(x)
        for block in range(self.blocks):
            x = layers.Conv2D(self.filters * 2**block, 3)(x)
            x = layers.BatchNormalization()(x)
            x = layers.Activation("tanh")(x)
            x = layers.MaxPooling2D(2)(x)
        return keras.Model(frames, layers.Permute((2, 1, 3))(x), name="trunk")

    def _head(self, columns: int, rows: int, channels: int) -> keras.Model:
        kept = keras.Input((columns, rows, channels))
        x = layers.Flatten()(layers.Permute((2, 1, 3))(kept))
        x = layers.Dropout(self.dropout)(x)
        x = layers.Dense(128, activation="relu")(x)
        x = layers.Dropout(self.dropout)(x)
        speech = layers.Dense(1, activation="sigmoid")(x)
        both = layers.Concatenate()([speech, keras.ops.subtract(1.0, speech)])
        return keras.Model(kept, layers.Reshape((1, 2))(both), name="head")

    def config(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        return {"name": "article", **asdict(self)}
