"""The TensorFlow runtime: a bundle's trunk and head as two compiled graphs."""

from __future__ import annotations

import tensorflow as tf

from rtclassify import bundle as bundles
from rtclassify.bundle import Bundle
from rtclassify.description import describe, find
from rtclassify.engine import Engine, Graphs, fresh_columns
from rtclassify.errors import UsageError
from rtclassify.probe import prove
from rtclassify.stream import Samples


def open_engine(model: str, *, hop_s: float | None = None, device: str = "auto") -> Engine:
    """Load a bundle, choose the device and warm up.

    Args:
        model: A bundle's name or path.
        hop_s: Seconds from one label to the next; None takes the bundle's own.
        device: ``auto`` takes a GPU where there is one, ``cpu`` never does, ``gpu`` must.

    Raises:
        BundleError: If the bundle cannot be used, or `hop_s` does not fit it.
        UsageError: If `device` is ``gpu`` and TensorFlow sees none.
    """
    path = find(model)
    hop = describe(path).hop_samples(hop_s)
    runs_on = choose_device(device)
    bundle = bundles.read(path)
    engine = engine_of(bundle, hop=hop, runs_on=runs_on)
    prove(engine, bundle.description)
    return engine


def engine_of(bundle: Bundle, *, hop: int, runs_on: str) -> Engine:
    """Make the engine of a loaded bundle and warm it up."""
    graphs = _compile(bundle, fresh=fresh_columns(bundle.grid, hop))
    return Engine(bundle.description, bundle.grid, graphs, hop=hop, runs_on=runs_on)


def _compile(bundle: Bundle, *, fresh: int) -> Graphs:
    trunk, head, grid = bundle.model.get_layer("trunk"), bundle.model.get_layer("head"), bundle.grid
    kept = (None, grid.columns, *trunk.output_shape[2:])

    @tf.function(input_signature=[tf.TensorSpec((None, grid.row(fresh)), tf.float32)])
    def columns_of(rows: tf.Tensor) -> tf.Tensor:
        return trunk(bundle.frontend.frames(rows), training=False)

    @tf.function(input_signature=[tf.TensorSpec(kept, tf.float32)])
    def answers_of(columns: tf.Tensor) -> tf.Tensor:
        return head(columns, training=False)

    def columns_now(rows: Samples) -> Samples:
        return columns_of(rows).numpy()

    def answers_now(columns: Samples) -> Samples:
        return answers_of(columns).numpy()

    return Graphs(columns_now, answers_now)


def choose_device(device: str) -> str:
    """Make TensorFlow use the CPU or the GPUs, and say in one line which.

    GPU memory grows as needed instead of being taken whole at the start.

    Raises:
        UsageError: If `device` is ``gpu`` and TensorFlow sees none.
    """
    gpus = tf.config.list_physical_devices("GPU")
    version = f"TensorFlow {tf.__version__}"
    if device == "gpu" and not gpus:
        raise UsageError(
            f"--device gpu was asked for, but {version} sees no GPU; "
            "install rtclassify[gpu] with NVIDIA's driver, or use --device auto."
        )
    if device == "cpu" or not gpus:
        tf.config.set_visible_devices([], "GPU")
        return f"CPU, {version}"
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, enable=True)
    names = [tf.config.experimental.get_device_details(g).get("device_name", g.name) for g in gpus]
    return f"GPU ({', '.join(names)}), {version}"
