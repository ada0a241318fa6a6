"""What a model bundle says of itself, read without TensorFlow.

A bundle is a folder, ``models/<name>/``; its ``bundle.json`` says what it hears and answers, and
has the digests of its other files. See docs/bundle.md.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from rtclassify.errors import BundleError

SCHEMA = 1
LIGHT = "model.tflite"
"""The file of the light runtime, in bundles that have one."""
INT8 = "model.int8.tflite"
"""The network in 8 bits, in bundles that have it."""


@dataclass(frozen=True, slots=True)
class Description:
    """What ``bundle.json`` says.

    Args:
        path: The bundle's folder.
        name: Its name, as subscribers see it.
        labels: What each score answers.
        tails_s: For how long each answer outlasts what it is of, in the mean, in seconds.
        rate: Samples per second.
        window: Samples in a window.
        hop: Samples from one window to the next, unless told otherwise.
        hop_unit: Samples in a cell, the audio of one column; every hop is a multiple of it.
        grid: What frames and columns hear: the arguments of `rtclassify.grid.Grid`.
        digest: SHA-256 of ``model.keras`` in hex.
        created: UTC date and time, ISO 8601.
        frontend: Configuration of the front end.
        network: Configuration of the network.
        data: Where the training data came from.
        scores: Headline figures of validation.
        files: SHA-256 of each file of the bundle.
        probe: Scores of the probe's windows, each the mean over its cells.
    """

    path: Path
    name: str
    labels: tuple[str, ...]
    tails_s: tuple[float, ...]
    rate: int
    window: int
    hop: int
    hop_unit: int
    grid: Mapping[str, int]
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
        said["tails_s"] = _tails_s(said)
        kept = {name: said[name] for name in names}
        kept["labels"] = tuple(kept["labels"])
        kept["probe"] = tuple(tuple(row) for row in kept["probe"])
        return Description(path=path, digest=kept["files"]["model.keras"], **kept)
    except (KeyError, TypeError) as error:
        raise BundleError(
            f"{path} is not a whole bundle: bundle.json lacks or garbles {error}; "
            "train it again or take a whole copy."
        ) from error


def _tails_s(said: Mapping[str, Any]) -> tuple[float, ...]:
    """Return the tail of each label; in bundles of before there were any, there are none."""
    labels = said["labels"]
    tails_s = tuple(said.get("tails_s", [0.0] * len(labels)))
    if len(tails_s) != len(labels):
        raise KeyError("tails_s")
    return tails_s


def check_files(description: Description) -> None:
    """Compare each file of a bundle with its digest; loads no TensorFlow.

    Raises:
        BundleError: If one is missing, unreadable or not what was saved.
    """
    for name, digest in description.files.items():
        _check_digest(description.path / name, digest)


def _check_digest(path: Path, digest: str) -> None:
    try:
        found = file_digest(path)
    except OSError as error:
        raise BundleError(
            f"{path} cannot be read ({error.strerror}); take a whole copy of the bundle."
        ) from error
    if found != digest:
        raise BundleError(
            f"{path} was changed or damaged: its SHA-256 begins {found[:12]} where bundle.json "
            f"says {digest[:12]}; take a whole copy of the bundle."
        )


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
