"""How training goes, for TensorBoard, where that is installed (``rtclassify[tensorboard]``)."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import tensorflow as tf

from rtclassify.errors import DependencyError
from rtclassify.training.unfinished import Epoch


class Board:
    """A folder of events.

    Args:
        folder: Where they are written; None for nowhere.

    Raises:
        DependencyError: If there is a folder, but no TensorBoard.
    """

    def __init__(self, folder: Path | None) -> None:
        self._writer = None
        if folder is None:
            return
        try:
            import tensorboard  # noqa: F401 - tf.summary is an empty shell without it
        except ImportError as error:
            raise DependencyError(
                "--logs needs TensorBoard; pip install 'rtclassify[tensorboard]', or leave it out."
            ) from error
        self._writer = tf.summary.create_file_writer(str(folder))

    def write(self, number: int, epoch: Epoch) -> None:
        """Write how an epoch ended, at once."""
        if self._writer is None:
            return
        with self._writer.as_default(number):
            for name, value in asdict(epoch).items():
                tf.summary.scalar(name, value)
        self._writer.flush()
