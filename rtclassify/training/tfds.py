"""Recordings from TensorFlow Datasets, where it is installed (``rtclassify[tfds]``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rtclassify.corpus.dataset import LABELS, Clip, Heard
from rtclassify.corpus.decode import FULL_SCALE, resampled, stored
from rtclassify.errors import DataError, DependencyError

PREFIX = "tfds:"
UNSAID_RATE = 22_050
"""The rate of gtzan_music_speech, whose features do not say one."""


def load(loader: str, data_dir: Path | None, rate: int) -> list[Heard]:
    """Read all splits of a set whose examples have ``audio``, ``label`` and ``audio/filename``.

    Args:
        loader: ``tfds:NAME``.
        data_dir: Where the set is prepared; None for the library's own folder.
        rate: Samples per second to deliver.

    Raises:
        DependencyError: If tensorflow-datasets is not installed.
        DataError: If there is no such set, it cannot be fetched, or has other features.
    """
    name = loader.removeprefix(PREFIX)
    if name == loader or not name:
        raise DataError(f"--loader {loader} is unknown; write tfds:NAME.")
    try:
        import tensorflow_datasets
    except ImportError as error:
        raise DependencyError(
            f"--loader {loader} needs tensorflow-datasets; pip install 'rtclassify[tfds]'."
        ) from error
    try:
        sets, info = tensorflow_datasets.load(name, data_dir=data_dir, with_info=True)
        names = info.features["label"].names
        own_rate = getattr(info.features["audio"], "sample_rate", None) or UNSAID_RATE
    except Exception as error:  # the library raises whatever its many parts raise
        reason = str(error).strip().splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{loader} cannot be loaded: {reason}") from error
    unknown = [label for label in names if label not in LABELS]
    if unknown:
        raise DataError(f"{loader} has a label {unknown[0]!r}; only {', '.join(LABELS)} are known.")
    return [
        _take(example, names, name, own_rate, rate)
        for part in sorted(sets)
        for example in tensorflow_datasets.as_numpy(sets[part])
    ]


def _take(
    example: dict[str, Any], names: list[str], source: str, own_rate: int, rate: int
) -> Heard:
    label = names[int(example["label"])]
    audio = np.asarray(example["audio"], np.float32) / np.float32(FULL_SCALE + 1)
    clip = Clip(Path(example["audio/filename"].decode()), frozenset({label}), source)
    return clip, stored(resampled([audio.reshape(len(audio), -1)], own_rate, rate))
