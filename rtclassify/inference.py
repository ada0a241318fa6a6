"""The TensorFlow runtime: a bundle's trunk and head as two compiled graphs."""

from __future__ import annotations

import tensorflow as tf

from rtclassify import bundle as bundles
from rtclassify import litert
from rtclassify.bundle import Bundle
from rtclassify.description import INT8, describe, find
from rtclassify.engine import Engine, Graphs
from rtclassify.errors import UsageError
from rtclassify.networks.dilated import at_once
from rtclassify.probe import ROUGH, prove


def open_engine(
    model: str,
    *,
    hop_s: float | None = None,
    device: str = "auto",
    threads: int | None = None,
    int8: bool = False,
) -> Engine:
    """Load a bundle, choose the device and warm up.

    Args:
        model: A bundle's name or path.
        hop_s: Seconds from one label to the next; None takes the bundle's own.
        device: ``auto`` takes a GPU where there is one, ``cpu`` never does, ``gpu`` must.
        threads: How many compute on a CPU, the same for each engine of a process; None leaves
            that to TensorFlow.
        int8: Whether the network is the bundle's one in 8 bits, on LiteRT.

    Raises:
        BundleError: If the bundle cannot be used, or `hop_s` does not fit it.
        DependencyError: If LiteRT is wanted and not installed.
        UsageError: If `device` is ``gpu`` and TensorFlow sees none.
    """
    path = find(model)
    hop = describe(path).hop_samples(hop_s)
    if threads is not None:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    runs_on = choose_device(device)
    bundle = bundles.read(path)
    if int8:
        content = litert.exported(bundle.description, INT8, "int8")
        return int8_engine_of(bundle, content, hop=hop, runs_on=runs_on, threads=threads or 1)
    engine = engine_of(bundle, hop=hop, runs_on=runs_on)
    prove(engine, bundle.description)
    return engine


def engine_of(bundle: Bundle, *, hop: int, runs_on: str) -> Engine:
    """Make the engine of a loaded bundle and warm it up."""
    return Engine(bundle.description, bundle.grid, _compile(bundle), hop=hop, runs_on=runs_on)


def int8_engine_of(
    bundle: Bundle, content: bytes, *, hop: int, runs_on: str, threads: int
) -> Engine:
    """Make an engine whose front end is TensorFlow's and whose network is in 8 bits; prove it."""
    said, frames_of = bundle.description, _compile(bundle).frames_of
    with litert.refused(said, INT8):
        network = litert.graphs_of(content, litert.SIGNATURES[1:], threads)
        runs_on = f"{runs_on}; network in 8 bits, {litert.version()}"
        engine = Engine(said, bundle.grid, Graphs(frames_of, *network), hop=hop, runs_on=runs_on)
    prove(engine, said, ROUGH)
    return engine


def _compile(bundle: Bundle) -> Graphs:
    trunk, head = bundle.model.get_layer("trunk"), at_once(bundle.model.get_layer("head"))
    frames, kept = (None, bundle.frontend.bands), (bundle.grid.columns, *trunk.output_shape[2:])

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.float32)], autograph=False)
    def frames_of(audio: tf.Tensor) -> tf.Tensor:
        return bundle.frontend.frames(audio)

    @tf.function(input_signature=[tf.TensorSpec((None, *frames), tf.float32)], autograph=False)
    def columns_of(rows: tf.Tensor) -> tf.Tensor:
        return trunk(rows, training=False)

    @tf.function(input_signature=[tf.TensorSpec((None, *kept), tf.float32)], autograph=False)
    def answers_of(columns: tf.Tensor) -> tf.Tensor:
        return head(columns, training=False)

    return Graphs(
        lambda audio: frames_of(audio).numpy(),
        lambda rows: columns_of(rows).numpy(),
        lambda columns: answers_of(columns).numpy(),
    )


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
