"""Where columns stand in a window: numbers alone, so that all runtimes count alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtclassify.stream import Samples


@dataclass(frozen=True, slots=True)
class Grid:
    """What a model's frames and columns hear.

    Args:
        window: Samples in a window.
        length: Samples in a frame.
        step: Samples from one frame to the next.
        reach: Frames that a column looks at.
        stride: Frames from one column to the next.
    """

    window: int
    length: int
    step: int
    reach: int
    stride: int

    @property
    def cell(self) -> int:
        """Samples from one column to the next; a *cell* is the audio that a column answers for."""
        return self.step * self.stride

    @property
    def heard(self) -> int:
        """Samples that a column hears."""
        return self.samples(self.reach)

    @property
    def columns(self) -> int:
        """Columns of a window."""
        return 1 + (self.window - self.heard) // self.cell

    def frames(self, columns: int) -> int:
        """Return the frames that so many columns look at together."""
        return (columns - 1) * self.stride + self.reach

    def samples(self, frames: int) -> int:
        """Return the samples that so many frames hear together."""
        return (frames - 1) * self.step + self.length

    def per_cell(self, answers: Samples) -> Samples:
        """Give each cell of a window the answer of the column whose middle is nearest to its own.

        Cells are counted backwards from the window's end. A column hears more than its cell, so
        those at the window's edges have no column of their own and take the nearest one's; where
        a network answers once for the window, all cells take that.

        Args:
            answers: What the network said, shape (n, columns, labels) or (n, 1, labels).

        Returns:
            Shape (n, window // cell, labels).
        """
        cells = self.window // self.cell
        first_middle = self.window - cells * self.cell + self.cell / 2
        first = round((first_middle - self.heard / 2) / self.cell)
        nearest = np.clip(first + np.arange(cells), 0, answers.shape[1] - 1)
        return answers[:, nearest]
