"""From a bundle's Keras model to the ``model.tflite`` of the light runtime."""

from __future__ import annotations

from tempfile import TemporaryDirectory

import keras
import tensorflow as tf

from rtclassify import litert
from rtclassify.bundle import Bundle, add_light
from rtclassify.errors import BundleError
from rtclassify.frontends.stft import by_convolution


def export(bundle: Bundle) -> None:
    """Put a ``model.tflite`` into a bundle, with its digest, once it has proved itself.

    Raises:
        BundleError: If the bundle cannot be written, or the file scores the probe otherwise.
        DependencyError: If LiteRT, which proves the file, is not installed.
    """
    content, said = convert(bundle), bundle.description
    litert.engine_of(said, content, hop=said.hop)
    add_light(said, content)


def convert(bundle: Bundle) -> bytes:
    """Convert front end, trunk and head, for rows of any length and batches of any size."""
    trunk, head = bundle.model.get_layer("trunk"), bundle.model.get_layer("head")
    bands, kept = bundle.frontend.bands, (bundle.grid.columns, *trunk.output_shape[2:])

    def frames_of(audio: tf.Tensor) -> tf.Tensor:
        return bundle.frontend.frames(audio, by_convolution)

    def columns_of(frames: tf.Tensor) -> tf.Tensor:
        return trunk(frames, training=False)

    def answers_of(columns: tf.Tensor) -> tf.Tensor:
        return head(columns, training=False)

    archive = keras.export.ExportArchive()
    archive.track(bundle.model)
    for name, graph, shape in (
        (litert.FRAMES, frames_of, (None, None)),
        (litert.COLUMNS, columns_of, (None, None, bands)),
        (litert.ANSWERS, answers_of, (None, *kept)),
    ):
        archive.add_endpoint(name, graph, [tf.TensorSpec(shape, tf.float32)])
    with TemporaryDirectory() as folder:
        archive.write_out(folder, verbose=False)
        names = list(litert.SIGNATURES)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=names)
        try:
            return converter.convert()
        except Exception as error:
            raise BundleError(
                f"{bundle.description.path} cannot be converted: its front end or its network has "
                "operations that TensorFlow Lite lacks; build it of others."
            ) from error
