"""How audio becomes what a network sees: one file a front end, one line of `FRONTENDS` each.

A front end is a frozen value. Its configuration travels in the model bundle and makes the same
front end again, so training and serving cannot disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import tensorflow as tf

from rtclassify.errors import BundleError
from rtclassify.frontends.stft import Stft, by_fft


class Frontend(Protocol):
    """Turns windows of audio into frames, in a TensorFlow graph.

    A frame depends on `length` samples alone and frames are `step` samples apart, so frames of
    the newest audio are the newest frames of the window: nothing is normalised over a window.
    """

    @property
    def rate(self) -> int:
        """Samples per second."""

    @property
    def window(self) -> int:
        """Samples in a window."""

    @property
    def length(self) -> int:
        """Samples that a frame looks at."""

    @property
    def step(self) -> int:
        """Samples from one frame to the next."""

    @property
    def bands(self) -> int:
        """Values in a frame."""

    @property
    def views(self) -> int:
        """Of how many kinds they are, as many of each, which take turns in a frame."""

    def frames(self, audio: tf.Tensor, stft: Stft = by_fft) -> tf.Tensor:
        """Compute the frames of each row.

        Args:
            audio: Shape (n, samples), float32, nominally in [-1, 1].
            stft: How to compute magnitudes; `by_convolution` for TensorFlow Lite.

        Returns:
            Shape (n, 1 + (samples - length) // step, bands), float32, finite for finite audio.
        """

    def config(self) -> dict[str, Any]:
        """Return what `restore` needs to make this front end again."""


def frame_count(frontend: Frontend, samples: int) -> int:
    """Return how many frames fit into `samples`."""
    return 1 + (samples - frontend.length) // frontend.step


def _log_stft(**config: Any) -> Frontend:
    from rtclassify.frontends.log_stft import LogStft

    return LogStft(**config)


def _harmonic_stft(**config: Any) -> Frontend:
    from rtclassify.frontends.harmonic_stft import HarmonicStft

    return HarmonicStft(**config)


def _article(**config: Any) -> Frontend:
    from rtclassify.frontends.article import ArticleFrontend

    return ArticleFrontend(**config)


FRONTENDS: dict[str, Callable[..., Frontend]] = {
    "log_stft": _log_stft,
    "harmonic_stft": _harmonic_stft,
    "article": _article,
}


def restore(config: Mapping[str, Any]) -> Frontend:
    """Make the front end that returned `config`.

    Raises:
        BundleError: If this version knows no such front end.
    """
    settings = dict(config)
    name = settings.pop("name", None)
    try:
        return FRONTENDS[name](**settings)
    except (KeyError, TypeError) as error:
        known = ", ".join(FRONTENDS)
        raise BundleError(
            f"front end {name!r} with {settings} is unknown here (known: {known}); "
            "use the version of rtclassify that made the model."
        ) from error
