"""Figures of recordings: what is drawn is where it belongs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from matplotlib.patches import Rectangle

from rtclassify.cli import plots
from rtclassify.cli.colours import colour_of
from rtclassify.cli.excerpt import Excerpt, hear
from rtclassify.cli.plots import COLUMNS, draw_grid, draw_overview
from rtclassify.errors import UsageError
from rtclassify.frontends.harmonic_stft import HarmonicStft
from rtclassify.frontends.log_stft import LogStft
from rtclassify.testing import EnvelopeClassifier

RATE = 16_000
FRONTEND = LogStft()


def envelope() -> EnvelopeClassifier:
    return EnvelopeClassifier(rate=RATE, window=5 * RATE, hop=RATE // 2, cell=RATE // 10)


@pytest.fixture(scope="module")
def programme(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Twenty seconds of "speech" without any sound, then forty of "music" that hums."""
    time = np.arange(40 * RATE) / RATE
    hum = -0.75 + 0.2 * np.sin(2 * np.pi * 1_000 * time)
    path = tmp_path_factory.mktemp("audio") / "programme.wav"
    soundfile.write(path, np.r_[np.full(20 * RATE, 0.25), hum].astype("f4"), RATE, subtype="FLOAT")
    return str(path)


def excerpt_of(path: str, *, start_s: float = 0.0, duration_s: float = 600.0) -> Excerpt:
    return hear(path, envelope(), start_s=start_s, duration_s=duration_s)


def test_an_excerpt_is_the_audio_between_its_ends_with_the_labels_inside(programme: str) -> None:
    whole = excerpt_of(programme)
    part = excerpt_of(programme, start_s=12.25, duration_s=20)

    assert (part.start, part.end) == (12.25 * RATE, 32.25 * RATE)
    np.testing.assert_array_equal(part.audio, whole.audio[part.start : part.end])
    inside = [x for x in whole.labels if part.start <= x.start and x.end <= part.end]
    assert [(x.start, x.end) for x in part.labels] == [(x.start, x.end) for x in inside]
    for mine, theirs in zip(part.labels, inside, strict=True):
        assert mine.probs == pytest.approx(theirs.probs, abs=1e-9)


def test_an_excerpt_without_a_window_is_refused(programme: str) -> None:
    with pytest.raises(UsageError, match=r"has 3\.0 s between --start .* hears 5 s at a time"):
        excerpt_of(programme, start_s=57)


def test_a_short_recording_is_drawn_at_its_own_length(tmp_path: Path) -> None:
    path = tmp_path / "short.wav"
    soundfile.write(path, np.full(2 * RATE, 0.25, np.float32), RATE, subtype="FLOAT")

    excerpt = excerpt_of(str(path))

    assert (excerpt.start, excerpt.end) == (0, 2 * RATE)
    assert [(x.start, x.end, x.label) for x in excerpt.labels] == [
        (start, start + RATE // 2, "speech") for start in range(0, 2 * RATE, RATE // 2)
    ]
    assert [(s.start, s.end) for s in excerpt.segments] == [(0, 2 * RATE)]


def test_the_picture_is_a_png_of_five_panels_over_one_time_axis(
    programme: str, tmp_path: Path
) -> None:
    figure = draw_overview(excerpt_of(programme), FRONTEND)
    figure.savefig(tmp_path / "programme.png")

    panels = [axis for axis in figure.axes if axis.get_ylabel()]
    assert [axis.get_ylabel().split("\n")[0] for axis in panels] == [
        "waveform", "spectrogram", "what the model sees", "probability", "label",
    ]  # fmt: skip
    assert {axis.get_xlim() for axis in panels} == {(0.0, 60.0)}
    assert (tmp_path / "programme.png").read_bytes().startswith(b"\x89PNG\r\n")


def test_each_view_of_the_model_has_a_panel(programme: str) -> None:
    figure = draw_overview(excerpt_of(programme), HarmonicStft())

    names = [axis.get_ylabel().replace("what the model sees\n", "") for axis in figure.axes]
    assert names[:6] == ["waveform", "spectrogram\nkHz", "band", "pitch", "probability", "label"]
    bands, pitches = (figure.axes[panel].images[0].get_array() for panel in (2, 3))
    assert bands is not None
    assert pitches is not None
    assert bands.shape == pitches.shape
    assert not np.allclose(bands, pitches)


def test_the_title_names_file_span_rate_and_model(programme: str) -> None:
    figure = draw_overview(excerpt_of(programme, start_s=10, duration_s=30), FRONTEND)

    words = " ".join(text.get_text() for text in figure.texts)
    for word in ("programme.wav", "0:10.0 – 0:40.0", "16,000 Hz", envelope().name):
        assert word in words


def test_the_label_bar_shows_the_segments(programme: str) -> None:
    excerpt = excerpt_of(programme)
    axis = draw_overview(excerpt, FRONTEND).axes[4]

    bars = [patch for patch in axis.patches if isinstance(patch, Rectangle)]
    assert [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars] == [
        (segment.start / RATE, (segment.end or 0) / RATE) for segment in excerpt.segments
    ]
    assert [text.get_text() for text in axis.texts] == ["speech", "music"]


def test_each_curve_is_one_answer_at_the_middles_of_the_hops(programme: str) -> None:
    excerpt = excerpt_of(programme)
    axis = draw_overview(excerpt, FRONTEND).axes[3]

    curves = {line.get_label(): line for line in axis.lines}
    times, probs = np.asarray(curves["music"].get_data())
    np.testing.assert_allclose(times, np.arange(0.25, 60, 0.5))
    np.testing.assert_allclose(probs, [label.probs["music"] for label in excerpt.labels])
    assert curves["music"].get_color() == colour_of("music")


@pytest.mark.parametrize("panel", [1, 2])
def test_both_spectrograms_show_a_sound_when_it_sounds(programme: str, panel: int) -> None:
    """Thinning out must not move anything: the hum starts at one third of the picture."""
    image = np.asarray(
        draw_overview(excerpt_of(programme), FRONTEND).axes[panel].images[0].get_array()
    )

    change = np.diff(image[image.std(axis=1).argmax()])

    assert np.abs(change).argmax() == pytest.approx(image.shape[1] / 3, abs=3)


def test_long_audio_is_thinned_out_evenly() -> None:
    frames = np.repeat(np.arange(7_000, dtype=np.float32), 3).reshape(7_000, 3)

    thin = plots._thinned(frames)

    assert thin.shape == (COLUMNS, 3)
    np.testing.assert_allclose(thin[:, 0], np.linspace(2, 6_997, COLUMNS), atol=3)


def test_the_spectrogram_of_a_full_scale_sine_peaks_at_zero_decibels() -> None:
    sine = np.sin(2 * np.pi * 1_000 * np.arange(RATE) / RATE).astype(np.float32)

    power = plots._power(sine)[5]

    assert power.argmax() == 1_000 * plots.FFT // RATE
    assert 10 * np.log10(power.max()) == pytest.approx(0.0, abs=0.1)


def test_frames_in_pieces_are_frames_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    audio = np.random.default_rng(1).standard_normal(RATE * 3).astype(np.float32)
    whole = plots._frames(audio, FRONTEND)

    monkeypatch.setattr(plots, "FRAMES_AT_ONCE", 17)

    np.testing.assert_allclose(plots._frames(audio, FRONTEND), whole, atol=1e-5)


def test_the_grid_shows_six_moments_under_their_labels(programme: str, tmp_path: Path) -> None:
    figure = draw_grid(excerpt_of(programme), FRONTEND)
    figure.savefig(tmp_path / "grid.png")

    assert [axis.get_title(loc="left") for axis in figure.axes] == ["speech"] * 2 + ["music"] * 4
    assert all(axis.images for axis in figure.axes)


def test_the_grid_of_an_excerpt_shows_its_windows_where_they_lie(programme: str) -> None:
    whole = excerpt_of(programme)
    figure = draw_grid(excerpt_of(programme, start_s=17.25, duration_s=6), FRONTEND)

    for axis, start_s, hop_s in zip(
        (figure.axes[0], figure.axes[-1]), (17.25, 18.25), (17.5, 22.5), strict=True
    ):
        start = round(start_s * RATE)
        frames = plots._frames(whole.audio[start : start + 5 * RATE], FRONTEND)
        np.testing.assert_array_equal(np.asarray(axis.images[0].get_array()), frames.T)
        assert [np.asarray(line.get_xdata())[0] for line in axis.lines] == [
            hop_s - start_s, hop_s + 0.5 - start_s,
        ]  # fmt: skip


def test_the_grid_of_a_short_recording_shows_what_there_is(tmp_path: Path) -> None:
    path = tmp_path / "short.wav"
    soundfile.write(path, np.full(2 * RATE, -0.75, np.float32), RATE, subtype="FLOAT")

    figure = draw_grid(excerpt_of(str(path)), FRONTEND)

    shown = [axis for axis in figure.axes if axis.get_visible()]
    assert [axis.get_title(loc="left") for axis in shown] == ["music"] * 4
    assert {axis.images[0].get_extent()[1] for axis in shown} == {2.0}
