"""A model on disk: one folder that says what it is and proves that it still is.

::

    models/<name>/
        model.keras     the network: submodels "trunk" and "head", no custom code
        bundle.json     what a reader needs without TensorFlow; digests; the probe's scores
        model.tflite    the same with its front end, for the light runtime, where it was exported
        model.int8.tflite   the same in 8 bits without its front end, where it was exported
        metrics.json    how training ended
        README.md       the model card

`rtclassify.description` reads ``bundle.json`` alone. `load` checks the digests and scores a fixed
probe signal: a model that no longer says what it said when it was saved is refused. See
docs/bundle.md.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rtclassify import __version__, probe
from rtclassify.description import (
    INT8,
    LIGHT,
    SCHEMA,
    Description,
    check_files,
    describe,
    file_digest,
)
from rtclassify.errors import BundleError
from rtclassify.grid import Grid
from rtclassify.stream import Samples

if TYPE_CHECKING:
    import keras

    from rtclassify.frontends import Frontend
    from rtclassify.networks import Network

DEFAULT_HOP_S = 0.5


@dataclass(frozen=True, slots=True)
class Bundle:
    """A loaded, verified model."""

    description: Description
    frontend: Frontend
    network: Network
    model: keras.Model

    @property
    def grid(self) -> Grid:
        """Where its columns stand."""
        return grid_of(self.frontend, self.network)

    def scores(self, windows: Samples) -> Samples:
        """Score whole windows, without any streaming: the truth that the engine must match.

        Args:
            windows: Mono audio at the front end's rate, shape (n, `window`).

        Returns:
            Probabilities, shape (n, cells, labels); see `Grid.per_cell`.
        """
        import tensorflow as tf

        frames = self.frontend.frames(tf.constant(windows, tf.float32))
        answers = np.asarray(self.model(frames, training=False), np.float32)
        return self.grid.per_cell(answers)


def grid_of(frontend: Frontend, network: Network) -> Grid:
    """Return where the columns of a network behind a front end stand."""
    return Grid(frontend.window, frontend.length, frontend.step, network.reach, network.stride)


def save(
    path: Path,
    *,
    model: keras.Model,
    frontend: Frontend,
    network: Network,
    labels: tuple[str, ...],
    tails_s: tuple[float, ...],
    data: Mapping[str, Any],
    metrics: Mapping[str, Any],
    card: str,
) -> Description:
    """Write a bundle; an older one of that name is replaced.

    Args:
        path: The bundle's folder; its last part becomes the name.
        model: What `Network.build` made, trained.
        frontend: The front end that it was trained with.
        network: The network that built it.
        labels: What each score answers.
        tails_s: For how long each answer outlasts what it is of, in the mean.
        data: Where the training data came from.
        metrics: How training ended; ``metrics["scores"]`` are the headline figures.
        card: The model card, in Markdown.
    """
    path.mkdir(parents=True, exist_ok=True)
    model.save(path / "model.keras")
    _write_json(path / "metrics.json", metrics)
    (path / "README.md").write_text(card, "utf-8")
    grid = grid_of(frontend, network)
    files = ("model.keras", "metrics.json")
    description = Description(
        path=path,
        name=path.name,
        labels=labels,
        tails_s=tails_s,
        rate=frontend.rate,
        window=frontend.window,
        hop=max(1, round(DEFAULT_HOP_S * frontend.rate / grid.cell)) * grid.cell,
        hop_unit=grid.cell,
        grid=asdict(grid),
        digest=file_digest(path / "model.keras"),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        frontend=frontend.config(),
        network=network.config(),
        data=data,
        scores=metrics.get("scores", {}),
        files={name: file_digest(path / name) for name in files},
    )
    probed = _probe_scores(Bundle(description, frontend, network, model))
    description = replace(description, probe=probe.readable(probed))
    _write_description(description)
    for exported in (LIGHT, INT8):
        (path / exported).unlink(missing_ok=True)
    return description


def add_file(description: Description, name: str, content: bytes) -> None:
    """Put an exported file into a bundle and write down its digest.

    Raises:
        BundleError: If the bundle cannot be written.
    """
    path = description.path / name
    try:
        path.write_bytes(content)
        files = {**description.files, name: file_digest(path)}
        _write_description(replace(description, files=files))
    except OSError as error:
        raise BundleError(
            f"{error.filename or path} cannot be written ({error.strerror}); copy the bundle to a "
            "folder of yours and export that."
        ) from error


def _write_description(description: Description) -> None:
    said = {"schema": SCHEMA, "rtclassify": __version__, **asdict(description)}
    for derived in ("path", "digest"):
        del said[derived]
    _write_json(description.path / "bundle.json", said)


def load(path: Path) -> Bundle:
    """Load a bundle and prove that it is whole and says what it said when it was saved.

    Raises:
        BundleError: If a file is missing or changed, the model holds code, or its scores differ.
    """
    bundle = read(path)
    probe.check(bundle.description, _probe_scores(bundle))
    return bundle


def read(path: Path) -> Bundle:
    """Load a bundle as `load` does, and leave its probe to an engine: see `probe.prove`."""
    description = describe(path)
    check_files(description)
    import keras

    from rtclassify import frontends, networks

    frontend = frontends.restore(description.frontend)
    network = networks.restore(description.network)
    _refuse_code(path / "model.keras")
    try:
        model = keras.models.load_model(path / "model.keras", compile=False, safe_mode=True)
        model.get_layer("trunk"), model.get_layer("head")
    except (ValueError, TypeError, KeyError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise BundleError(
            f"{path / 'model.keras'} cannot be loaded ({reason}); train it again with this version."
        ) from error
    _refuse_one_answer_a_window(path, model)
    return Bundle(description, frontend, network, model)


def _probe_scores(bundle: Bundle) -> Samples:
    return bundle.scores(probe.probe(bundle.frontend.rate, bundle.frontend.window))


def _refuse_one_answer_a_window(path: Path, model: keras.Model) -> None:
    """Refuse networks of an older kind, which knew no columns."""
    if len(model.output_shape) != len(("windows", "columns", "labels")):
        raise BundleError(
            f"{path} answers once for a whole window, as models of older versions did, and this "
            "version wants an answer for each column; train it again."
        )


def _refuse_code(path: Path) -> None:
    """Refuse layers that carry code: a bundle is data."""
    try:
        with zipfile.ZipFile(path) as archive:
            layers = archive.read("config.json").decode()
    except (zipfile.BadZipFile, KeyError, UnicodeDecodeError) as error:
        raise BundleError(f"{path} is not a Keras model ({error}); train it again.") from error
    if '"Lambda"' in layers or '"__lambda__"' in layers:
        raise BundleError(f"{path} holds a Lambda layer, which is code; build it of plain layers.")


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8")
