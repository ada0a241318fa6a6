"""Reading a timeline of truth: what is judged, where things begin and end, what is one window."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rtclassify.evaluation.trial import FRAME_S, UNHEARD
from rtclassify.stream import Samples

Mask = NDArray[np.bool_]
Counts = NDArray[np.int64]

THRESHOLD = 0.5
MARGIN_FRAMES = round(0.5 / FRAME_S)
"""Left out on both sides of every boundary: where exactly one lies is a matter of taste."""
WINDOW_FRAMES = round(5.0 / FRAME_S)
LEAST_FRAMES = round(1.0 / FRAME_S)
"""A window of which less is judged is not judged."""
KINDS = ("speech", "music", "both", "other")


def judged(truth: Samples) -> Mask:
    """Say which answers count: where the truth is known, and no boundary is within half a second.

    Args:
        truth: Shape (frames, labels).

    Returns:
        The same shape; a boundary of one label leaves out all of them.
    """
    changing = np.any(_near(truth == 1) & _near(truth == 0), axis=1, keepdims=True)
    return np.asarray((truth != UNHEARD) & ~changing)


def _near(present: Mask) -> Mask:
    """Say for every frame whether `present` holds within `MARGIN_FRAMES` of it."""
    padded = np.pad(present, ((MARGIN_FRAMES, MARGIN_FRAMES), (0, 0)))
    views = np.lib.stride_tricks.sliding_window_view(padded, 2 * MARGIN_FRAMES + 1, axis=0)
    return np.asarray(views.any(axis=-1))


def continued(truth: Samples) -> Samples:
    """Let what was last known of a label hold until more is, and the first known before it.

    A label of which nothing is known becomes one that is absent.
    """
    known = truth != UNHEARD
    places = np.where(known, np.arange(len(truth))[:, np.newaxis], -1)
    last = np.maximum.accumulate(places, axis=0)
    held = np.take_along_axis(truth, np.where(last < 0, np.argmax(known, axis=0), last), axis=0)
    return np.where(known.any(axis=0), held, np.float32(0))


def changes(truth: Samples) -> bool:
    """Say whether anything begins or ends within."""
    held = continued(truth)
    return bool(np.any(held[1:] != held[:-1]))


def runs(present: Mask) -> Counts:
    """Return where a label is present, shape (n, 2): first frame, and the frame after the last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], present, [False]]).astype(np.int8)))
    return edges.reshape(-1, 2).astype(np.int64)


def windows(whole: Mask) -> Iterator[slice]:
    """Cut a timeline into consecutive windows, and yield those of which enough is judged.

    Args:
        whole: The frames in which every answer is judged, shape (frames,).
    """
    for start in range(0, len(whole), WINDOW_FRAMES):
        window = slice(start, start + WINDOW_FRAMES)
        if np.count_nonzero(whole[window]) >= LEAST_FRAMES:
            yield window


def kinds(answers: Mask) -> Counts:
    """Turn answers about speech and music, shape (n, 2), into indices of `KINDS`."""
    speech, music = answers.T
    return np.where(speech, np.where(music, 2, 0), np.where(music, 1, 3)).astype(np.int64)
