"""The bands of a front end, and what can be done with power in them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rtclassify.training.spectra import Listener, Mixable, Power, of_frames, power

Hertz = NDArray[np.float64]

WHITE_S = 60


class Bands:
    """The bands of a front end, and what can be done with power in them.

    Args:
        frontend: Whose bands they are.
    """

    def __init__(self, frontend: Mixable) -> None:
        kinds = frontend.heard_hz()
        self.hz = np.concatenate(kinds)
        self.count = len(self.hz)
        self.highest_hz = float(self.hz.max())
        ends = np.cumsum([0, *map(len, kinds)])
        self._kinds = [slice(start, end) for start, end in pairwise(ends)]
        self._nearest = np.abs(self.hz[:, None] - kinds[0]).argmin(axis=1)
        self.step_s = frontend.step / frontend.rate
        noise = np.random.default_rng(0).standard_normal(WHITE_S * frontend.rate, np.float32)
        white = power(Listener(frontend).keep(noise))
        self.full_scale = float(of_frames(white).mean())
        self._white = white / np.float32(self.full_scale)

    def white(self, frames: int, rng: np.random.Generator) -> Power:
        """White noise of unit power a frame: a random place in a table."""
        at = int(rng.integers(len(self._white) - frames))
        return self._white[at : at + frames]

    def mel(self, frames: Power) -> Power:
        """Return the mel bands of frames alone."""
        return frames[:, self._kinds[0]]

    def everywhere(self, of_mel: Power) -> Power:
        """Return what is to happen to each mel band for all that lies next to it too."""
        return of_mel[..., self._nearest]

    def shaped(self, frames: Power, curve: Callable[[Hertz], Hertz]) -> Power:
        """Filter by a magnitude curve over frequency in Hz."""
        return frames * np.square(curve(self.hz)).astype(np.float32)

    def shifted(self, frames: Power, factor: float) -> Power:
        """Multiply all frequencies by a factor; nothing comes from beyond the highest band."""
        moved = np.empty_like(frames)
        for kind in self._kinds:
            hz, old = self.hz[kind], frames[:, kind]
            places = np.interp(hz / factor, hz, np.arange(len(hz)))
            at = np.minimum(places.astype(int), len(hz) - 2)
            part = (places - at).astype(np.float32)
            moved[:, kind] = old[:, at] * (1 - part) + old[:, at + 1] * part
        moved[:, self.hz / factor > self.highest_hz] *= np.float32(1e-4)
        return moved
