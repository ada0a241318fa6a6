"""A model on disk: one folder that says what it is and proves that it still is.

::

    models/<name>/
        model.keras     the network: submodels "trunk" and "head", no custom code
        bundle.json     what a reader needs without TensorFlow; digests; the probe's scores
        metrics.json    how training ended
        README.md       the model card

`describe` reads ``bundle.json`` alone. `load` checks the digests and scores a fixed probe signal:
a model that no longer says what it said when it was saved is refused. See docs/bundle.md.
"""

from __future__ import annotations

import hashlib
import json
import math
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rtclassify import __version__
from rtclassify.errors import BundleError
from rtclassify.stream import Samples

if TYPE_CHECKING:
    import keras

    from rtclassify.frontends import Frontend
    from rtclassify.networks import Network

SCHEMA = 1
DEFAULT_HOP_S = 0.5
PROBE_TOLERANCE = 1e-3
"""Scores of the probe may differ by this much between machines; a retrained model differs more."""


@dataclass(frozen=True, slots=True)
class Description:
    """What ``bundle.json`` says.

    Args:
        path: The bundle's folder.
        name: Its name, as subscribers see it.
        labels: What each score answers.
        rate: Samples per second.
        window: Samples in a window.
        hop: Samples from one window to the next, unless told otherwise.
        hop_unit: Every hop is a multiple of this many samples.
        digest: SHA-256 of ``model.keras`` in hex.
        created: UTC date and time, ISO 8601.
        frontend: Configuration of the front end.
        network: Configuration of the network.
        data: Where the training data came from.
        scores: Headline figures of validation.
        files: SHA-256 of each file of the bundle.
        probe: Scores of the probe signal.
    """

    path: Path
    name: str
    labels: tuple[str, ...]
    rate: int
    window: int
    hop: int
    hop_unit: int
    digest: str
    created: str
    frontend: Mapping[str, Any]
    network: Mapping[str, Any]
    data: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    probe: tuple[tuple[float, ...], ...] = ()

    @property
    def tag(self) -> str:
        """The name that goes out on the stream: ``name@first 12 hex digits of the digest``."""
        return f"{self.name}@{self.digest[:12]}"

    def hop_samples(self, hop_s: float | None) -> int:
        """Return the hop in samples for `hop_s` seconds, or the bundle's own for None.

        Raises:
            BundleError: If `hop_s` is not a multiple of `hop_unit`, or longer than the window.
        """
        if hop_s is None:
            return self.hop
        units = hop_s * self.rate / self.hop_unit
        below, above = max(1, int(units)), max(1, int(units)) + 1
        if math.isclose(units, round(units)) and 1 <= round(units) * self.hop_unit <= self.window:
            return round(units) * self.hop_unit
        if hop_s * self.rate > self.window:
            most = self.window // self.hop_unit * self.hop_unit / self.rate
            raise BundleError(
                f"A hop of {hop_s:g} s is longer than the window of {self.tag}; "
                f"use {most:g} s or less."
            )
        near = " or ".join(f"{n * self.hop_unit / self.rate:.9g}" for n in (below, above))
        raise BundleError(
            f"A hop of {hop_s:g} s does not fit {self.tag}, whose columns are "
            f"{self.hop_unit / self.rate:.9g} s apart; use {near} s."
        )


@dataclass(frozen=True, slots=True)
class Bundle:
    """A loaded, verified model."""

    description: Description
    frontend: Frontend
    network: Network
    model: keras.Model

    def scores(self, windows: Samples) -> Samples:
        """Score whole windows, without any streaming: the truth that the engine must match.

        Args:
            windows: Mono audio at the front end's rate, shape (n, `window`).

        Returns:
            Probabilities, shape (n, labels).
        """
        return whole_window_scores(self.model, self.frontend, windows)


def whole_window_scores(model: keras.Model, frontend: Frontend, windows: Samples) -> Samples:
    """Score windows of shape (n, window) in one graph from audio to probabilities."""
    import tensorflow as tf

    frames = frontend.frames(tf.constant(windows, tf.float32))
    return np.asarray(model(frames, training=False), np.float32)


def folder() -> Path:
    """Return the folder of the bundles that come with the program: ``models`` beside the package.

    An installed program looks into ``models`` of the working directory where it has none.
    """
    beside = Path(__file__).resolve().parent.parent / "models"
    return beside if beside.is_dir() else Path("models")


def known() -> list[Path]:
    """Return the bundles in `folder`, sorted by name."""
    return sorted(path.parent for path in folder().glob("*/bundle.json"))


def find(name: str) -> Path:
    """Return the folder of a bundle, given its name in `folder` or a path.

    Raises:
        BundleError: If there is none; the message names those that there are.
    """
    for path in (folder() / name, Path(name)):
        if (path / "bundle.json").is_file():
            return path
    names = ", ".join(path.name for path in known()) or "none yet: see `rtclassify train`"
    raise BundleError(f"There is no model {name!r}; give a bundle's folder or one of: {names}.")


def describe(path: Path) -> Description:
    """Read a bundle's description; loads no TensorFlow.

    Raises:
        BundleError: If it is unreadable, of another schema, or lacks something.
    """
    try:
        said = json.loads((path / "bundle.json").read_text("utf-8"))
        schema = said.pop("schema")
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise BundleError(
            f"{path} is not a model bundle: its bundle.json cannot be read ({error}); "
            "train it again or take a whole copy."
        ) from error
    if schema != SCHEMA:
        raise BundleError(
            f"{path} is a bundle of schema {schema!r}, and this version reads {SCHEMA}; "
            "use the version of rtclassify that made it."
        )
    names = {f.name for f in fields(Description)} - {"path", "digest"}
    try:
        kept = {name: said[name] for name in names}
        kept["labels"] = tuple(kept["labels"])
        kept["probe"] = tuple(tuple(row) for row in kept["probe"])
        return Description(path=path, digest=kept["files"]["model.keras"], **kept)
    except (KeyError, TypeError) as error:
        raise BundleError(
            f"{path} is not a whole bundle: bundle.json lacks or garbles {error}; "
            "train it again or take a whole copy."
        ) from error


def save(
    path: Path,
    *,
    model: keras.Model,
    frontend: Frontend,
    network: Network,
    labels: tuple[str, ...],
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
        data: Where the training data came from.
        metrics: How training ended; ``metrics["scores"]`` are the headline figures.
        card: The model card, in Markdown.
    """
    path.mkdir(parents=True, exist_ok=True)
    model.save(path / "model.keras")
    _write_json(path / "metrics.json", metrics)
    (path / "README.md").write_text(card, "utf-8")
    unit = frontend.step * network.stride
    files = ("model.keras", "metrics.json")
    probe_scores = whole_window_scores(model, frontend, probe(frontend.rate, frontend.window))
    description = Description(
        path=path,
        name=path.name,
        labels=labels,
        rate=frontend.rate,
        window=frontend.window,
        hop=max(1, round(DEFAULT_HOP_S * frontend.rate / unit)) * unit,
        hop_unit=unit,
        digest=_digest(path / "model.keras"),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        frontend=frontend.config(),
        network=network.config(),
        data=data,
        scores=metrics.get("scores", {}),
        files={name: _digest(path / name) for name in files},
        probe=tuple(tuple(round(float(p), 6) for p in row) for row in probe_scores),
    )
    said = {"schema": SCHEMA, "rtclassify": __version__, **asdict(description)}
    for derived in ("path", "digest"):
        del said[derived]
    _write_json(path / "bundle.json", said)
    return description


def check_files(description: Description) -> None:
    """Compare each file of a bundle with its digest; loads no TensorFlow.

    Raises:
        BundleError: If one is missing, unreadable or not what was saved.
    """
    for name, digest in description.files.items():
        _check_digest(description.path / name, digest)


def load(path: Path) -> Bundle:
    """Load a bundle and prove that it is whole and says what it said when it was saved.

    Raises:
        BundleError: If a file is missing or changed, the model holds code, or its scores differ.
    """
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
    bundle = Bundle(description, frontend, network, model)
    _check_probe(bundle)
    return bundle


def probe(rate: int, window: int) -> Samples:
    """Make the probe: four windows that any machine computes alike, shape (4, window).

    A harmonic sweep, syllable-like bursts of it, noise from a linear congruence, and zeros.
    """
    time = np.arange(window) / rate
    phase = 2 * np.pi * (110.0 * time + 30.0 * time**2)
    tones = sum(np.sin(n * phase) / n for n in range(1, 9)) / 4
    bursts = tones * (np.sin(2 * np.pi * 4.0 * time) > 0)
    noise = (np.arange(window, dtype=np.uint64) * 2_654_435_761 % 65_536) / 32_768 - 1.0
    return np.stack([tones, bursts, 0.1 * noise, np.zeros(window)]).astype(np.float32)


def _check_probe(bundle: Bundle) -> None:
    said = np.array(bundle.description.probe, np.float32)
    says = bundle.scores(probe(bundle.frontend.rate, bundle.frontend.window))
    if said.shape != says.shape or not np.allclose(said, says, atol=PROBE_TOLERANCE):
        raise BundleError(
            f"{bundle.description.path} no longer scores its probe as it did when it was saved; "
            "take a whole copy, or train it again with this version."
        )


def _check_digest(path: Path, digest: str) -> None:
    try:
        found = _digest(path)
    except OSError as error:
        raise BundleError(
            f"{path} cannot be read ({error.strerror}); take a whole copy of the bundle."
        ) from error
    if found != digest:
        raise BundleError(
            f"{path} was changed or damaged: its SHA-256 begins {found[:12]} where bundle.json "
            f"says {digest[:12]}; take a whole copy of the bundle."
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


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8")
