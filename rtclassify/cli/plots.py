"""Figures of recordings: the overview of `inspect` and its grid of windows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MultipleLocator
from numpy.typing import NDArray

from rtclassify.cli.colours import colour_of
from rtclassify.cli.excerpt import Excerpt
from rtclassify.cli.formats import clock_time
from rtclassify.events import Label
from rtclassify.frontends import Frontend, frame_count
from rtclassify.stream import Samples

COLUMNS = 1_600
"""Columns of a picture that eyes can tell apart; longer audio is thinned out to these."""

FRAMES_AT_ONCE = 4_096
FFT = 1_024
DPI = 120
RANGE_DB = 80.0
INK = "#2b3440"
WAVE = "#51606f"
FAINT = "#8a94a0"
MAP = "magma"
THRESHOLD = 0.5
TICKS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300)
MOST_TICKS = 13
VIEWS = (("band", "log"), ("pitch", "salience"))
LETTER_SHARE = 0.0075
"""Width of a letter as a share of the label bar's."""


def draw_overview(excerpt: Excerpt, frontend: Frontend) -> Figure:
    """Draw waveform, spectrogram, what the model sees and labels over one time axis."""
    figure = _titled((13, 7.5 + 1.5 * frontend.views), excerpt)
    heights = [1.0, 1.7, *[1.7] * frontend.views, 1.3, 0.28]
    axes = figure.subplots(len(heights), 1, sharex=True, gridspec_kw={"height_ratios": heights})
    _draw_waveform(axes[0], excerpt)
    _draw_spectrogram(axes[1], excerpt)
    _draw_frames(axes[2:-2], excerpt, frontend)
    _draw_probabilities(axes[-2], excerpt)
    _draw_segments(axes[-1], excerpt)
    for axis in axes:
        _clean(axis)
        axis.tick_params(bottom=axis is axes[-1])
    _time_axis(axes[-1], excerpt)
    figure.align_ylabels(axes)
    return figure


def draw_grid(excerpt: Excerpt, frontend: Frontend) -> Figure:
    """Draw six hops, evenly spread, each under its label.

    Each is shown, between two lines, in the middle of a window as the model sees it, or off the
    middle where the excerpt ends.
    """
    figure = _titled((11, 9), excerpt)
    chosen = _spread(excerpt.labels, 6)
    axes = figure.subplots(3, 2, sharex=True, sharey=True, squeeze=False)
    for axis in axes.flat[len(chosen) :]:
        axis.set_visible(False)
    for axis, label in zip(axes.flat, chosen, strict=False):
        window, first = _window_around(label, excerpt)
        bands = _frames(window, frontend)[:, :: frontend.views]
        _image(axis, bands, (0, len(window) / excerpt.rate, 0, bands.shape[1]))
        for edge in (label.start, label.end):
            axis.axvline((edge - first) / excerpt.rate, color="white", linewidth=0.8, alpha=0.7)
        start, end = (clock_time(at / excerpt.rate) for at in (label.start, label.end))
        said = "  ".join(f"{answer} {prob:.2f}" for answer, prob in label.probs.items())
        axis.set_title(label.label, color=colour_of(label.label), weight="bold", loc="left")
        axis.set_title(f"{start} – {end}    {said}", color=FAINT, size=9, loc="right")
        _clean(axis)
    figure.supxlabel("seconds", color=FAINT, size=10)
    figure.supylabel("band", color=FAINT, size=10)
    return figure


def _window_around(label: Label, excerpt: Excerpt) -> tuple[Samples, int]:
    """Return a window's audio with the label in its middle, if it can be, and where it starts."""
    middle = (label.start + label.end) // 2
    latest = max(excerpt.start, excerpt.end - excerpt.window)
    start = min(max(excerpt.start, middle - excerpt.window // 2), latest)
    at = start - excerpt.start
    return excerpt.audio[at : at + excerpt.window], start


def _spread(labels: Sequence[Label], most: int) -> list[Label]:
    places = np.linspace(0, len(labels) - 1, min(most, len(labels)))
    return [labels[round(float(place))] for place in places]


def _titled(inches: tuple[float, float], excerpt: Excerpt) -> Figure:
    """Make a figure that says what it shows, with room for that above the axes."""
    figure = Figure(figsize=inches, dpi=DPI, facecolor="white")
    figure.set_layout_engine("constrained", rect=(0, 0, 1, 0.95))
    start, end = (clock_time(at / excerpt.rate) for at in (excerpt.start, excerpt.end))
    about = f"{start} – {end}    {excerpt.rate:,} Hz mono    {excerpt.model}"
    name = Path(excerpt.path).name
    figure.text(0.012, 0.985, name, va="top", size=15, weight="bold", color=INK)
    figure.text(0.988, 0.98, about, ha="right", va="top", size=10, color=FAINT)
    return figure


def _draw_waveform(axis: Axes, excerpt: Excerpt) -> None:
    edges = _edges(len(excerpt.audio))
    low = np.minimum.reduceat(excerpt.audio, edges[:-1])
    high = np.maximum.reduceat(excerpt.audio, edges[:-1])
    times = (excerpt.start + edges[:-1]) / excerpt.rate
    axis.fill_between(times, low, high, step="post", color=WAVE, edgecolor=WAVE, linewidth=0.4)
    most = max(0.05, float(np.max(np.abs(excerpt.audio))))
    axis.set_ylim(-1.05 * most, 1.05 * most)
    axis.set_ylabel("waveform", color=INK)


def _draw_spectrogram(axis: Axes, excerpt: Excerpt) -> None:
    decibels = 10 * np.log10(_power(excerpt.audio) + 1e-12)
    extent = (*_span_s(excerpt), 0, excerpt.rate / 2000)
    top = float(decibels.max())
    image = _image(axis, decibels, extent, low=top - RANGE_DB, high=top)
    axis.set_ylabel("spectrogram\nkHz", color=INK)
    _scale(axis, image, "dBFS")


def _draw_frames(axes: Sequence[Axes], excerpt: Excerpt, frontend: Frontend) -> None:
    frames = _frames(excerpt.audio, frontend)
    for number, (axis, (what, unit)) in enumerate(zip(axes, VIEWS, strict=False)):
        view = frames[:, number :: frontend.views]
        image = _image(axis, view, (*_span_s(excerpt), 0, view.shape[1]))
        axis.set_ylabel(f"what the model sees\n{what}", color=INK)
        _scale(axis, image, unit)


def _draw_probabilities(axis: Axes, excerpt: Excerpt) -> None:
    middles = [(label.start + label.end) / 2 / excerpt.rate for label in excerpt.labels]
    for answer in excerpt.labels[0].probs if excerpt.labels else ():
        probs = [label.probs[answer] for label in excerpt.labels]
        alone = "o" if len(probs) == 1 else None
        colour = colour_of(answer)
        axis.plot(middles, probs, color=colour, linewidth=1.4, marker=alone, label=answer)
    axis.axhline(THRESHOLD, color=FAINT, linewidth=0.8, linestyle=(0, (4, 4)))
    axis.set_ylim(-0.03, 1.03)
    axis.set_yticks([0, 0.5, 1])
    axis.set_ylabel("probability", color=INK)
    axis.legend(
        loc="lower right", bbox_to_anchor=(1, 1), ncols=8, frameon=False, borderaxespad=0,
        labelcolor=INK, fontsize=9,
    )  # fmt: skip


def _draw_segments(axis: Axes, excerpt: Excerpt) -> None:
    shown_s = len(excerpt.audio) / excerpt.rate
    for segment in excerpt.segments:
        start_s, end_s = segment.start / excerpt.rate, (segment.end or 0) / excerpt.rate
        colour = colour_of(segment.label)
        axis.add_patch(Rectangle((start_s, 0), end_s - start_s, 1, color=colour, linewidth=0))
        if (end_s - start_s) / shown_s > LETTER_SHARE * (len(segment.label) + 2):
            middle_s = (start_s + end_s) / 2
            axis.text(middle_s, 0.47, segment.label, ha="center", va="center", color="white")
    present = dict.fromkeys(segment.label for segment in excerpt.segments)
    axis.legend(
        [Rectangle((0, 0), 1, 1, color=colour_of(label)) for label in present], list(present),
        loc="upper right", bbox_to_anchor=(1, -0.9), ncols=8, frameon=False, borderaxespad=0,
        labelcolor=INK, fontsize=9, handlelength=1, handleheight=1,
    )  # fmt: skip
    axis.set_ylim(0, 1)
    axis.set_yticks([])
    axis.set_ylabel("label", color=INK)


def _frames(audio: Samples, frontend: Frontend) -> Samples:
    """Compute the front end's frames a minute or so at a time, shape (columns, bands)."""
    total = frame_count(frontend, len(audio))
    parts = []
    for first in range(0, total, FRAMES_AT_ONCE):
        frames = min(FRAMES_AT_ONCE, total - first)
        start = first * frontend.step
        part = audio[start : start + (frames - 1) * frontend.step + frontend.length]
        parts.append(np.asarray(frontend.frames(part[np.newaxis]))[0])
    return _thinned(np.concatenate(parts))


def _power(audio: Samples) -> Samples:
    """Compute the power spectrum over time, shape (columns, FFT // 2 + 1).

    A sine at full scale is 1.
    """
    padded = np.pad(audio, FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT)[:: FFT // 2]
    window = np.hanning(FFT).astype(np.float32)
    window *= 2 / window.sum()
    spectra = [
        np.abs(np.fft.rfft(frames[at : at + FRAMES_AT_ONCE] * window)).astype(np.float32) ** 2
        for at in range(0, len(frames), FRAMES_AT_ONCE)
    ]
    return _thinned(np.concatenate(spectra))


def _thinned(frames: Samples) -> Samples:
    """Average neighbours until at most `COLUMNS` are left; each stays at its place in time."""
    if len(frames) <= COLUMNS:
        return frames
    edges = _edges(len(frames))
    sums = np.add.reduceat(frames, edges[:-1], axis=0)
    return (sums / np.diff(edges)[:, np.newaxis]).astype(np.float32)


def _edges(count: int) -> NDArray[np.intp]:
    """Split `count` things evenly into at most `COLUMNS`; return where each begins, and the end."""
    columns = min(COLUMNS, count)
    return np.arange(columns + 1) * count // columns


def _image(
    axis: Axes,
    frames: Samples,
    extent: tuple[float, float, float, float],
    *,
    low: float | None = None,
    high: float | None = None,
) -> AxesImage:
    return axis.imshow(
        frames.T,
        origin="lower",
        aspect="auto",
        extent=extent,
        cmap=MAP,
        vmin=low,
        vmax=high,
        interpolation="nearest" if len(frames) < COLUMNS // 2 else "antialiased",
    )


def _scale(axis: Axes, image: AxesImage, unit: str) -> None:
    """Put a slim colour scale beside the axis, inside the figure's right margin."""
    bar = axis.figure.colorbar(image, ax=axis, pad=0.01, aspect=18, fraction=0.03)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, colors=FAINT, length=0)
    bar.ax.set_title(unit, size=8, color=FAINT)


def _clean(axis: Axes) -> None:
    for side in ("top", "right", "left", "bottom"):
        axis.spines[side].set_visible(False)
    axis.tick_params(colors=FAINT, labelsize=9, length=3)


def _time_axis(axis: Axes, excerpt: Excerpt) -> None:
    axis.set_xlim(*_span_s(excerpt))
    shown_s = len(excerpt.audio) / excerpt.rate
    step_s = next((step for step in TICKS_S if shown_s / step <= MOST_TICKS), TICKS_S[-1])
    axis.xaxis.set_major_locator(MultipleLocator(step_s))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda at, _: clock_time(at).removesuffix(".0")))
    axis.set_xlabel("time", color=FAINT)


def _span_s(excerpt: Excerpt) -> tuple[float, float]:
    return excerpt.start / excerpt.rate, excerpt.end / excerpt.rate
