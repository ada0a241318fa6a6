"""What scores frames: one file a network, one line of `NETWORKS` each.

A network is a *trunk* from frames to columns and a *head* from a window's columns to
probabilities of each. The trunk has no padding in time and a fixed stride, so a column depends on
`reach` frames alone wherever it stands: streaming computes the columns of new audio only and
keeps the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

import keras

from rtclassify.errors import BundleError


class Network(Protocol):
    """A recipe for a Keras model with submodels named ``trunk`` and ``head``."""

    @property
    def stride(self) -> int:
        """Frames from one column to the next."""

    @property
    def reach(self) -> int:
        """Frames that a column looks at."""

    def build(self, *, frames: int, bands: int, labels: int, views: int = 1) -> keras.Model:
        """Build the model: (n, frames, bands) to probabilities (n, columns, labels).

        The values of several `views` take turns in a frame; see `Frontend.views`.

        It answers for each column of the trunk, or once for the whole window, which makes
        (n, 1, labels). Its trunk takes any number of frames from `reach` on.
        """

    def config(self) -> dict[str, Any]:
        """Return what `restore` needs to make this network again."""


def column_count(network: Network, frames: int) -> int:
    """Return how many columns the trunk makes of `frames`."""
    return 1 + (frames - network.reach) // network.stride


def assemble(trunk: keras.Model, head: keras.Model, *, frames: int, bands: int) -> keras.Model:
    """Join a trunk and a head into the model of a whole window."""
    windows = keras.Input((frames, bands), name="frames")
    return keras.Model(windows, head(trunk(windows)), name="window")


BRANCHES = "branches"


def side_by_side(branches: list[keras.KerasTensor]) -> keras.KerasTensor:
    """Return what branches of a network say of the same, as one tensor."""
    if len(branches) == 1:
        return branches[0]
    return keras.layers.Concatenate(name=BRANCHES)(branches)


def each_alone(model: keras.Model) -> keras.Model:
    """Return a model as it is taught: of n windows the first branch answers first, then the next.

    The weights are those of `model`, whose last layer adds up what the branches say.
    """
    trunk, head = model.get_layer("trunk"), model.get_layer("head")
    joint = next((layer for layer in head.layers if layer.name == BRANCHES), None)
    if joint is None:
        return model
    said = joint.input
    alone = [
        keras.ops.concatenate([len(said) * part if part is one else 0 * part for part in said], -1)
        for one in said
    ]
    answers = head.get_layer("answers")(keras.ops.concatenate(alone, 0))
    return keras.Model(model.input, keras.Model(head.input, answers)(trunk(model.input)))


def _column_cnn(**config: Any) -> Network:
    from rtclassify.networks.column_cnn import ColumnCnn

    return ColumnCnn(**config)


def _branched_cnn(**config: Any) -> Network:
    from rtclassify.networks.column_cnn import BRANCHED

    return replace(BRANCHED, **config)


def _article(**config: Any) -> Network:
    from rtclassify.networks.article import ArticleNetwork

    return ArticleNetwork(**config)


NETWORKS: dict[str, Callable[..., Network]] = {
    "column_cnn": _column_cnn,
    "branched_cnn": _branched_cnn,
    "article": _article,
}


def restore(config: Mapping[str, Any]) -> Network:
    """Make the network that returned `config`.

    Raises:
        BundleError: If this version knows no such network.
    """
    settings = dict(config)
    name = settings.pop("name", None)
    try:
        return NETWORKS[name](**settings)
    except (KeyError, TypeError) as error:
        known = ", ".join(NETWORKS)
        raise BundleError(
            f"network {name!r} with {settings} is unknown here (known: {known}); "
            "use the version of rtclassify that made the model."
        ) from error
