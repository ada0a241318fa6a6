"""What all formats of labels have in common."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.console import Console

from rtclassify.events import Label, Segment


class Format:
    """What every format can be told; by itself it writes nothing.

    Args:
        console: Where to write. Only a terminal gets colours.
        answers: The model's labels, the keys of every `probs`.
        rate: Samples per second of every index.
    """

    suffix = ".txt"
    """What the name of a file of such labels ends in."""

    one_recording = False
    """Whether what is written can speak of one recording only."""

    def __init__(self, console: Console, answers: Sequence[str], rate: int) -> None:
        self._console = console
        self._answers = tuple(answers)
        self._rate = rate

    def head(self) -> None:
        """Write what comes before everything else."""

    def begin(self, path: str, began: datetime | None = None) -> None:
        """Take what follows as said of the recording at `path`, which began at `began`."""
        self._path = path
        self._began = began

    def label(self, label: Label) -> None:
        """Take the label of one hop."""

    def segment(self, segment: Segment) -> None:
        """Take a segment that closed."""

    def end(self, length: int) -> None:
        """Take it that the recording is over and holds `length` samples."""

    def _line(self, text: str = "") -> None:
        if self._console.is_terminal:
            self._console.out(text, highlight=False)
        else:
            self._console.file.write(text + "\n")

    def _seconds(self, sample: int | None) -> float:
        return round((sample or 0) / self._rate, 3)
