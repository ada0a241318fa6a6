"""From a bundle's Keras model to the files of LiteRT."""

from __future__ import annotations

from tempfile import TemporaryDirectory

import keras
import tensorflow as tf

from rtclassify import inference, litert
from rtclassify.bundle import Bundle, add_file
from rtclassify.description import INT8, LIGHT
from rtclassify.errors import BundleError
from rtclassify.frontends.stft import by_convolution
from rtclassify.networks.dilated import at_once


def export(bundle: Bundle) -> None:
    """Put a ``model.tflite`` into a bundle, with its digest, once it has proved itself.

    Raises:
        BundleError: If the bundle cannot be written, or the file scores the probe otherwise.
        DependencyError: If LiteRT, which proves the file, is not installed.
    """
    content, said = convert(bundle), bundle.description
    litert.engine_of(said, content, hop=said.hop)
    add_file(said, LIGHT, content)


def export_int8(bundle: Bundle) -> None:
    """Put the network in 8 bits into a bundle, with its digest, once it has proved itself.

    Raises:
        BundleError: If the bundle cannot be written, or the file scores the probe otherwise.
        DependencyError: If LiteRT, which proves the file, is not installed.
    """
    content, said = convert(bundle, int8=True), bundle.description
    inference.int8_engine_of(bundle, content, hop=said.hop, runs_on="", threads=1)
    add_file(said, INT8, content)


def convert(bundle: Bundle, *, int8: bool = False) -> bytes:
    """Convert front end, trunk and head, for rows of any length and batches of any size.

    In 8 bits, without the front end, weights are fixed; what flows between them is scaled anew
    for each window.
    """
    trunk, head = bundle.model.get_layer("trunk"), at_once(bundle.model.get_layer("head"))
    bands, kept = bundle.frontend.bands, (bundle.grid.columns, *trunk.output_shape[2:])

    def frames_of(audio: tf.Tensor) -> tf.Tensor:
        return bundle.frontend.frames(audio, by_convolution)

    def columns_of(frames: tf.Tensor) -> tf.Tensor:
        return trunk(frames, training=False)

    def answers_of(columns: tf.Tensor) -> tf.Tensor:
        return head(columns, training=False)

    archive = keras.export.ExportArchive()
    archive.track(trunk)
    archive.track(head)
    parts = (
        (litert.FRAMES, frames_of, (None, None)),
        (litert.COLUMNS, columns_of, (None, None, bands)),
        (litert.ANSWERS, answers_of, (None, *kept)),
    )[int8:]
    for name, graph, shape in parts:
        archive.add_endpoint(name, graph, [tf.TensorSpec(shape, tf.float32)])
    with TemporaryDirectory() as folder:
        archive.write_out(folder, verbose=False)
        names = [name for name, *_ in parts]
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=names)
        converter.optimizations = [tf.lite.Optimize.DEFAULT] * int8
        try:
            return converter.convert()
        except Exception as error:
            raise BundleError(
                f"{bundle.description.path} cannot be converted: its front end or its network has "
                "operations that TensorFlow Lite lacks; build it of others."
            ) from error
