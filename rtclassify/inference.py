"""The engine: which audio is new, one batch for all channels, scores back to their windows.

A window that follows its channel's previous one by a hop needs trunk columns of the hop alone;
the others are kept from before. Every batch is made of *rows* of the same length, each the audio
behind one hop's columns, so a first window is merely several rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from rtclassify import bundle as bundles
from rtclassify.bundle import Bundle, cell_of, per_cell
from rtclassify.description import Description, describe, find
from rtclassify.errors import UsageError
from rtclassify.frontends import frame_count
from rtclassify.networks import column_count
from rtclassify.stream import Samples, Window

Graph = Callable[[Samples], tf.Tensor]

BATCH = 64
"""Rows in one call of the network: more gain nothing on a CPU and cost memory."""


class Engine:
    """A `Classifier` that keeps the trunk's columns between windows.

    Owned by one thread; serves one pipeline at a time.

    Args:
        bundle: The loaded model.
        hop: Samples from one window to the next, a multiple of the bundle's `hop_unit`.
        runs_on: One line about the device, for people.
    """

    def __init__(self, bundle: Bundle, *, hop: int, runs_on: str) -> None:
        frontend, network = bundle.frontend, bundle.network
        self.bundle = bundle
        self.runs_on = runs_on
        self.name = bundle.description.tag
        self.labels = bundle.description.labels
        self.rate = frontend.rate
        self.window = frontend.window
        self.hop = hop
        self.cell = cell_of(frontend, network)
        self._columns = column_count(network, frame_count(frontend, self.window))
        self._fresh = min(hop // self.cell, self._columns)
        row_frames = (self._fresh - 1) * network.stride + network.reach
        self._row = (row_frames - 1) * frontend.step + frontend.length
        self._kept: dict[str, tuple[int, Samples]] = {}
        self._trunk, self._head = _compile(bundle, row=self._row, columns=self._columns)
        self._warm_up()

    @property
    def description(self) -> Description:
        """What the bundle says of itself."""
        return self.bundle.description

    def reset(self) -> None:
        """Forget all audio."""
        self._kept.clear()

    def scores(self, windows: Sequence[Window]) -> Samples:
        """Score each window; see `Classifier.scores`."""
        offsets = self._plan(windows)
        rows = [
            window.samples[first * self.cell : first * self.cell + self._row]
            for window, firsts in zip(windows, offsets, strict=True)
            for first in firsts
        ]
        fresh = iter(_batched(self._trunk, np.stack(rows)))
        columns = []
        for window, firsts in zip(windows, offsets, strict=True):
            _, before = self._kept.get(window.channel, (0, None))
            now = np.empty((self._columns, *self._trunk_shape), np.float32)
            if len(firsts) == 1 and before is not None:
                now[: -self._fresh] = before[self._fresh :]
            for first in firsts:
                now[first : first + self._fresh] = next(fresh)
            self._kept[window.channel] = (window.start, now)
            columns.append(now)
        answers = _batched(self._head, np.stack(columns))
        return per_cell(answers, self.bundle.frontend, self.bundle.network)

    def _plan(self, windows: Sequence[Window]) -> list[Sequence[int]]:
        """Say which columns of each window must be computed: the first column of each row."""
        last = self._columns - self._fresh
        whole = [*range(0, last, self._fresh), last]
        previous = {channel: start for channel, (start, _) in self._kept.items()}
        plan: list[Sequence[int]] = []
        for window in windows:
            follows = previous.get(window.channel) == window.start - self.hop
            plan.append([last] if follows else whole)
            previous[window.channel] = window.start
        return plan

    def _warm_up(self) -> None:
        """Trace both graphs, so that the first window is as fast as the others."""
        columns = self._trunk(np.zeros((1, self._row), np.float32))
        self._trunk_shape = tuple(columns.shape[2:])
        self._head(np.zeros((1, self._columns, *self._trunk_shape), np.float32))


def _compile(bundle: Bundle, *, row: int, columns: int) -> tuple[Graph, Graph]:
    trunk, head = bundle.model.get_layer("trunk"), bundle.model.get_layer("head")
    kept = (None, columns, *trunk.output_shape[2:])

    @tf.function(input_signature=[tf.TensorSpec((None, row), tf.float32)])
    def columns_of(rows: tf.Tensor) -> tf.Tensor:
        return trunk(bundle.frontend.frames(rows), training=False)

    @tf.function(input_signature=[tf.TensorSpec(kept, tf.float32)])
    def answers_of(kept_columns: tf.Tensor) -> tf.Tensor:
        return head(kept_columns, training=False)

    return columns_of, answers_of


def _batched(graph: Graph, rows: Samples) -> Samples:
    parts = [graph(rows[at : at + BATCH]).numpy() for at in range(0, len(rows), BATCH)]
    return np.concatenate(parts)


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
    return Engine(bundles.load(path), hop=hop, runs_on=runs_on)


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
